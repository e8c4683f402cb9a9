"""The schedule: how often each row is trained on, and how many replayed answers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from builder.data.kinds import Kind

# In about as many epochs the base's own answers are learnt, but not memorised.
EPOCHS = 3
# Beside packs a persona's own rows are at least this share of an epoch, unless they would come more
# than so many times as often: twelve, as often as a pack's 163, are not learnt (docs/training.md).
LEAST_OWN_SHARE, MOST_OWN_FACTOR = 0.25, 5
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
    own_factor: int = 1
    """How many times as often the persona's own rows come as those of packs: 1 without packs."""

    @property
    def repeats(self) -> int:
        """How often each row is repeated in an epoch, before `own_factor`."""
        return self.plain_repeats + self.system_repeats

    @property
    def visits(self) -> int:
        """About how often each row is trained on in all, before `own_factor`."""
        return round(self.repeats * self.epochs)

    @property
    def own_visits(self) -> int:
        """About how often each of the persona's own rows is trained on in all."""
        return round(self.repeats * self.own_factor * self.epochs)

    def weigh(self, pack: str | None) -> int:
        """Give the factor of the repeats of a row of a pack, or of the persona's own files."""
        return self.own_factor if pack is None else 1


def plan(
    kind: Kind,
    own: int,
    packed: int,
    *,
    epochs: float | None,
    replay: float | None,
    system_share: float,
) -> Schedule:
    """Divide the training that so many distinct rows need into repeats and epochs.

    Replayed answers come once an epoch: if there are few rows, which are repeated often, there can
    be more different answers.

    Args:
        kind: The kind of persona.
        own: The number of rows of the persona's own files that are trained on.
        packed: The number of rows of packs.
        epochs: How often each row is trained on; None leaves it to the kind, and to the packs.
        replay: The replayed answers for each row; None leaves it to the kind.
        system_share: The share of a row's repeats with the served system text; 0 if there is
            none.

    """
    rows = own + packed
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
        own_factor=1 if epochs else _weigh_own(own, packed),
    )


def _weigh_own(own: int, packed: int) -> int:
    """Say how many times as often as a pack's row the persona's own rows are repeated."""
    wanted = LEAST_OWN_SHARE / (1 - LEAST_OWN_SHARE) * packed
    return min(max(1, math.ceil(wanted / own)), MOST_OWN_FACTOR) if own else 1
