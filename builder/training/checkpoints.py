"""Finds the checkpoint of an interrupted training that this machine can resume from."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from builder import files
from builder.engine.stage import Checkpoint
from builder.machine import Machine

# The checkpoint of a GPU, and the file in each `checkpoint-*` of a CPU that says how far it came.
CAPTURED, STATE = "captured.safetensors", "trainer_state.json"
# A safetensors file begins with the length of its header, an integer of so many bytes.
LENGTH_BYTES, MOST_HEADER_BYTES = 8, 100_000_000
log = logging.getLogger("builder")


def read_progress(scratch: Path, machine: Machine) -> Checkpoint | None:
    """Read how far an interrupted training came that this machine can resume.

    It imports nothing heavy, and reads no weights.
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
    """Read the metadata of a safetensors file; empty if it is missing or cut short."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(LENGTH_BYTES), "little")
            header = json.loads(file.read(min(length, MOST_HEADER_BYTES)))
    except (OSError, ValueError):
        return {}
    found = header.get("__metadata__") if isinstance(header, dict) else None
    return found if isinstance(found, dict) else {}


def find_newest_checkpoint(scratch: Path) -> Path | None:
    """Find the newest complete checkpoint of a CPU."""
    complete = [path for path in scratch.glob("checkpoint-*") if (path / STATE).is_file()]
    return max(complete, key=lambda path: int(path.name.rsplit("-", 1)[1]), default=None)


def tell_unused_checkpoint(scratch: Path, machine: Machine) -> None:
    """Warn that training starts over, if the checkpoint is of another kind of machine.

    GPU and CPU use different trainers, and neither reads the other's checkpoints.
    """
    captured = scratch / CAPTURED
    own, other = (captured.is_file(), find_newest_checkpoint(scratch) is not None)
    trained, trains = "a CPU", "a GPU"
    if machine.kind == "cpu":
        own, other, trained, trains = other, own, trains, trained
    if other and not own:
        log.warning(
            "train: the checkpoint that is here was made on %s; on %s training begins anew",
            trained,
            trains,
        )
