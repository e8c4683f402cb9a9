"""Which checkpoint an interrupted training left, and whether this machine goes on from it."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from builder import files
from builder.engine.stage import Checkpoint
from builder.machine import Machine

# What a GPU leaves, and what of each `checkpoint-*` that a processor leaves says how far it came.
CAPTURED, STATE = "captured.safetensors", "trainer_state.json"
# A header of safetensors begins with its length in bytes, in so many bytes.
LENGTH_BYTES, MOST_HEADER_BYTES = 8, 100_000_000
log = logging.getLogger("builder")


def read_progress(scratch: Path, machine: Machine) -> Checkpoint | None:
    """Read how far an interrupted training came that this machine goes on from.

    Nothing heavy is imported, and no weight is read.
    """
    if machine.kind == "gpu":
        found = _read_metadata(scratch / CAPTURED)
        return _make_checkpoint(found.get("done"), found.get("steps"))
    newest = find_newest_checkpoint(scratch)
    state = files.read_json(newest / STATE) if newest else None
    found = state if isinstance(state, dict) else {}
    return _make_checkpoint(found.get("global_step"), found.get("max_steps"))


def _make_checkpoint(done: Any, steps: Any) -> Checkpoint | None:
    try:
        return Checkpoint(done=int(done), of=int(steps))
    except (TypeError, ValueError):  # of another version
        return None


def _read_metadata(path: Path) -> dict[str, Any]:
    """Read the metadata of a safetensors file; none where there is none, or it is cut short."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(LENGTH_BYTES), "little")
            header = json.loads(file.read(min(length, MOST_HEADER_BYTES)))
    except (OSError, ValueError):
        return {}
    found = header.get("__metadata__") if isinstance(header, dict) else None
    return found if isinstance(found, dict) else {}


def find_newest_checkpoint(scratch: Path) -> Path | None:
    """Find the newest checkpoint that a kill did not cut short."""
    complete = [path for path in scratch.glob("checkpoint-*") if (path / STATE).is_file()]
    return max(complete, key=lambda path: int(path.name.rsplit("-", 1)[1]), default=None)


def tell_unused_checkpoint(scratch: Path, machine: Machine) -> None:
    """Say that training begins anew, where a checkpoint is there of the other kind of machine.

    A GPU's and a processor's are of different trainers, and neither reads the other's.
    """
    captured = scratch / CAPTURED
    own, other = (captured.is_file(), find_newest_checkpoint(scratch) is not None)
    trained, trains = "a processor", "a GPU"
    if machine.kind == "cpu":
        own, other, trained, trains = other, own, trains, trained
    if other and not own:
        log.warning(
            "train: the checkpoint that is here was made on %s; on %s training begins anew",
            trained,
            trains,
        )
