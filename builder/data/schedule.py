"""The schedule: how often each row is trained on, and how many replayed answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from builder.data.kinds import Kind

# In about as many epochs the base's own answers are learnt, but not memorised.
EPOCHS = 3
Finite = Annotated[float, Field(allow_inf_nan=False)]


@dataclass(frozen=True)
class Schedule:
    """The repeats of one epoch, and the epochs."""

    epochs: Finite
    """Passes over the repeated rows: `training.epochs` divided by the repeats."""
    plain_repeats: int
    """The repeats of each row without the served system text."""
    system_repeats: int
    """The repeats of each row with the served system text."""
    replayed: int
    """The number of the base's own answers, each once an epoch."""

    @property
    def repeats(self) -> int:
        """How often each row is repeated in an epoch."""
        return self.plain_repeats + self.system_repeats

    @property
    def visits(self) -> int:
        """About how often each row is trained on in all."""
        return round(self.repeats * self.epochs)


def plan(
    kind: Kind,
    rows: int,
    *,
    epochs: float | None,
    replay: float | None,
    system_share: float,
) -> Schedule:
    """Divide the training that a number of rows needs into repeats and epochs.

    Replayed answers come once an epoch: if there are few rows, which are repeated often, there can
    be more different answers.

    Args:
        kind: The kind of persona.
        rows: The number of distinct rows that are trained on.
        epochs: How often each row is trained on; None leaves it to the kind.
        replay: The replayed answers for each row; None leaves it to the kind.
        system_share: The share of a row's repeats with the served system text; 0 if there is
            none.

    """
    visits = epochs or min(max(kind.repeated_rows / rows, kind.least_epochs), kind.most_epochs)
    repeats = max(1, round(visits / EPOCHS))
    system_repeats = round(repeats * system_share)
    if 0 < system_share < 1:
        repeats = max(2, repeats)
        system_repeats = min(max(1, round(repeats * system_share)), repeats - 1)
    share = kind.replay if replay is None else replay
    replayed = repeats * max(round(share * rows), kind.least_replay) if share else 0
    return Schedule(
        epochs=visits / repeats,
        plain_repeats=repeats - system_repeats,
        system_repeats=system_repeats,
        replayed=replayed,
    )
