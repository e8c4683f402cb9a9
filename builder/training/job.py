"""What one training is of: base, rows and numbers, and the machine and folder that it runs in."""

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
    """One epoch, in which a row may come several times."""
    settings: Settings
    epochs: float
    """How often all of it is trained on."""
    machine: Machine
    """Decides the precision, and what pays."""
    scratch: Path
    """The folder of the checkpoints."""

    @property
    def lengths(self) -> list[int]:
        """The tokens of each row."""
        return [len(row.input_ids) for row in self.rows]
