"""What the last build in a folder came to: where it stopped, and what its file was asked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from builder import targets
from builder.engine import stamps
from builder.project import GGUF, REFUSED, SMOKE
from builder.stages import export, smoke


@dataclass(frozen=True)
class Stop:
    """Where the last build stopped, and what it said."""

    stage: str
    message: str


def find_stop(folder: Path) -> Stop | None:
    """Find the first stage whose last run failed; the stages before it have run since."""
    for stage in targets.MODEL:
        path = stamps.failure_path(folder, stage.NAME)
        try:
            return Stop(stage.NAME, path.read_text("utf-8").strip() or "it failed")
        except FileNotFoundError:
            continue
        except (OSError, ValueError):
            return Stop(stage.NAME, "it failed")
    return None


def find_examination(folder: Path) -> Path | None:
    """Find the examination of the file that is there: of a refused one, or of the last good one.

    None where that file was not asked yet.

    Raises:
        ToolError: The answers of a refused file are of another version.

    """
    stop = find_stop(folder)
    if stop is not None and stop.stage == smoke.NAME:
        path = folder / REFUSED
        # The answers of a refusal lie there until the next: another failure left none.
        return path if path.exists() and _is_refusal(path, stop) else None
    asked, made = stamps.read(folder, smoke.NAME), stamps.read(folder, export.NAME)
    is_of_file = asked and made and asked.description.inputs.get(GGUF) == made.output
    path = folder / SMOKE
    return path if is_of_file and path.exists() else None


def _is_refusal(path: Path, stop: Stop) -> bool:
    """Say whether a failure, of which the first line is noted, is that of an examination."""
    from builder.evaluation import report  # noqa: PLC0415 — of a refused build alone

    return "\n".join(report.read(path).problems()).split("\n")[0].strip() == stop.message
