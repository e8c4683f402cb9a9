"""The one record by which a stage says how far it is."""

from __future__ import annotations

import logging
from dataclasses import dataclass

log = logging.getLogger("builder")


@dataclass(frozen=True)
class Progress:
    """How far a piece of work is: *done* of *total*, both counted in *unit*."""

    what: str
    done: int
    total: int
    unit: str


def report(what: str, done: int, total: int, unit: str) -> None:
    """Say how far a piece of work is; the console draws it."""
    log.info(
        "%s %d/%d %s",
        what,
        done,
        total,
        unit,
        extra={"progress": Progress(what, done, total, unit)},
    )
