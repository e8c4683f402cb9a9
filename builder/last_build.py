"""What the last build in a folder came to: where it stopped, and what its file was asked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder import files, targets
from builder.engine import freshness
from builder.project import GGUF, REFUSED, SMOKE
from builder.stages import export, smoke


@dataclass(frozen=True)
class Stop:
    """Where the last build stopped, and what it said."""

    stage: str
    message: str


def find_stop(folder: Path) -> Stop | None:
    """Find the first stage that failed since it last ran; those before it have run since."""
    for stage in targets.STAGES:
        path = freshness.stamps_folder(folder) / f"{stage.NAME}.failed"
        try:
            return Stop(stage.NAME, path.read_text("utf-8").strip() or "it failed")
        except FileNotFoundError:
            continue
        except (OSError, ValueError):
            return Stop(stage.NAME, "it failed")
    return None


def has_begun(folder: Path) -> bool:
    """Say whether a stage has run in a folder, be the build finished or not."""
    return any(freshness.stamps_folder(folder).glob("*.json"))


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
    asked = _read_stamp(folder, smoke.NAME).get("inputs")
    made = _read_stamp(folder, export.NAME).get("output")
    is_of_file = isinstance(asked, dict) and made is not None and asked.get(GGUF) == made
    path = folder / SMOKE
    return path if is_of_file and path.exists() else None


def _is_refusal(path: Path, stop: Stop) -> bool:
    """Say whether a failure, of which the first line is noted, is that of an examination."""
    from builder.evaluation import report  # noqa: PLC0415 — of a refused build alone

    return "\n".join(report.read(path).problems()).split("\n")[0].strip() == stop.message


def _read_stamp(folder: Path, name: str) -> dict[str, Any]:
    value = files.read_json(freshness.stamps_folder(folder) / f"{name}.json")
    return value if isinstance(value, dict) and value.get("schema") == freshness.SCHEMA else {}
