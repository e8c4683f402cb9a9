"""One training: its base, rows and settings, and the machine and folder it runs in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from builder.bases.base import Base
from builder.data.dataset import Example
from builder.machine import Machine
from builder.training.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Job:
    """One training of an adapter."""

    base: Base
    rows: list[Example]
    """One epoch, in which a row may be repeated."""
    settings: Settings
    epochs: float
    """The number of epochs."""
    machine: Machine
    """Decides the precision, the attention and compiling."""
    scratch: Path
    """The folder of the checkpoints."""

    @property
    def lengths(self) -> list[int]:
        """The length of each row in tokens."""
        return [len(row.input_ids) for row in self.rows]
