"""The records by which a stage says how far it is."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

log = logging.getLogger("builder")


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What the model answers while it trains."""

    question: str
    answer: str
    ended: bool
    """Whether the model ended it; else it was cut."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a training goes, beside its steps."""

    losses: tuple[float, ...] = ()
    """Of the steps since the last record."""
    epoch: int
    epochs: int
    tokens_per_s: float | None = None
    """None until two steps are done."""
    sample: Sample | None = None
    """Where one was taken after the last of these steps."""


@dataclass(frozen=True)
class Progress:
    """How far a piece of work is: *done* of *total*, both counted in *unit*."""

    what: str
    """The work in a user's words, such as "asks the base"."""
    done: int
    total: int
    """0 where nothing can be counted."""
    unit: str
    training: Training | None = None


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a stage stands in a build, and what earlier builds say of its time."""

    number: int = 1
    count: int = 1
    expected_s: float | None = None
    """Of this stage; None where it never ran here."""
    later_s: float | None = None
    """Of the stages after it; None where that is not known."""
    steps_s: Mapping[str, float] = field(default_factory=dict)
    """Of each piece of work of this stage, by its words."""


def report(
    what: str, done: int = 0, total: int = 0, unit: str = "", training: Training | None = None
) -> None:
    """Say how far a piece of work is; the console draws it."""
    log.info(
        "%s %d/%d %s",
        what,
        done,
        total,
        unit,
        extra={"progress": Progress(what, done, total, unit, training)},
    )
