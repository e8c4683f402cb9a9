"""Which checkpoint an interrupted training left, and whether this machine goes on from it."""

from __future__ import annotations

import logging
from pathlib import Path

from builder.machine import Machine
from builder.training import resuming

log = logging.getLogger("builder")


def find_newest_checkpoint(scratch: Path) -> Path | None:
    """Find the newest checkpoint that a kill did not cut short."""
    complete = [
        path for path in scratch.glob("checkpoint-*") if (path / "trainer_state.json").is_file()
    ]
    return max(complete, key=lambda path: int(path.name.rsplit("-", 1)[1]), default=None)


def tell_unused_checkpoint(scratch: Path, machine: Machine) -> None:
    """Say that training begins anew, where a checkpoint is there of the other kind of machine.

    A GPU's and a processor's are of different trainers, and neither reads the other's.
    """
    captured = scratch / resuming.NAME
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
