"""The result of the last build in a folder: where it stopped, and the examination of its file."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from builder import persona, targets
from builder.engine import stamps
from builder.engine.lock import LOCK
from builder.project import GGUF, RECEIPT, REFUSED, SMOKE
from builder.stages import export, smoke


@dataclass(frozen=True)
class Stop:
    """The stage at which the last build stopped, and its message."""

    stage: str
    message: str


# In a build's folder, but no part of a build.
NO_BUILD = {LOCK, persona.UNPACKING, RECEIPT}


def holds_any(folder: Path) -> bool:
    """Say whether a folder holds anything of a build but the receipt, which `clean` leaves."""
    if not folder.is_dir():
        return os.path.lexists(folder)
    try:
        return any(path.name not in NO_BUILD for path in folder.iterdir())
    except OSError:  # what it holds cannot be told
        return True


def find_stop(folder: Path) -> Stop | None:
    """Find the first stage whose last run failed; the stages before it have run since."""
    for stage in targets.MODEL:
        message = stamps.read_failure(folder, stage.NAME)
        if message is not None:
            return Stop(stage.NAME, message or "it failed")
    return None


def has_begun(folder: Path) -> bool:
    """Say whether a stage has finished that only a build runs: `show` prepares the rows."""
    only_built = (stage for stage in targets.MODEL if stage not in targets.ROWS)
    return any(stamps.path(folder, stage.NAME).exists() for stage in only_built)


def find_examination(folder: Path) -> Path | None:
    """Find the examination of the present file, which may be refused or good.

    None if that file was not examined yet.

    Raises:
        ToolError: The examination of a refused file is of another version.

    """
    stop = find_stop(folder)
    if stop is not None and stop.stage == smoke.NAME:
        path = folder / REFUSED
        # The file stays there until the next refusal: this failure may be another one.
        return path if path.exists() and _is_refusal(path, stop) else None
    asked, made = stamps.read(folder, smoke.NAME), stamps.read(folder, export.NAME)
    is_of_file = asked and made and asked.description.inputs.get(GGUF) == made.output
    path = folder / SMOKE
    return path if is_of_file and path.exists() else None


def _is_refusal(path: Path, stop: Stop) -> bool:
    """Say whether the recorded failure is the refusal of this examination."""
    from builder.evaluation import report  # noqa: PLC0415 — for a refused build only

    return "\n".join(report.read(path).problems()).split("\n")[0].strip() == stop.message
