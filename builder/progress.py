"""The log records with which a stage reports its progress."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

log = logging.getLogger("builder")


@dataclass(frozen=True, kw_only=True)
class Sample:
    """An answer of the model while it trains."""

    question: str
    answer: str
    ended: bool
    """Whether the model ended it; if not, it was cut off."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """The progress of a training, beside its steps."""

    losses: tuple[float, ...] = ()
    """The losses of the steps since the last record."""
    epoch: int
    epochs: int
    tokens_per_s: float | None = None
    """None until two steps are done."""
    sample: Sample | None = None
    """The sample taken after the last of these steps, if any."""


@dataclass(frozen=True)
class Progress:
    """The progress of a piece of work: *done* of *total*, both counted in *unit*."""

    what: str
    """The work, in words for a user, such as "asks the base"."""
    done: int
    total: int
    """0 if nothing can be counted."""
    unit: str
    training: Training | None = None


@dataclass(frozen=True, kw_only=True)
class Place:
    """The position of a stage in a build, and its forecast from earlier builds."""

    number: int = 1
    count: int = 1
    expected_s: float | None = None
    """The forecast for this stage; None if it never ran on this machine."""
    later_s: float | None = None
    """The forecast for the stages after it; None if it is not known."""
    steps_s: Mapping[str, float] = field(default_factory=dict)
    """The forecast for each piece of work of this stage."""


def report(
    what: str, done: int = 0, total: int = 0, unit: str = "", training: Training | None = None
) -> None:
    """Report the progress of a piece of work; the console draws it."""
    log.info(
        "%s %d/%d %s",
        what,
        done,
        total,
        unit,
        extra={"progress": Progress(what, done, total, unit, training)},
    )
