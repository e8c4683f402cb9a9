"""How often each row, and how many of the base's own answers, are trained on: computed once, by the data stage."""

from __future__ import annotations

from dataclasses import dataclass

from builder.data.kinds import Kind
from builder.manifest import Training

# About as many as the base's own answers are learnt in, and not yet by heart.
EPOCHS = 3


@dataclass(frozen=True)
class Schedule:
    """The repeats of one epoch, and the epochs."""

    epochs: float
    plain_repeats: int
    """Of each row as it stands in its file."""
    system_repeats: int
    """Of each row with the served system text before it."""
    replayed: int
    """The base's own answers, each once."""

    @property
    def repeats(self) -> int:
        """How often each row comes in an epoch."""
        return self.plain_repeats + self.system_repeats


def plan(kind: Kind, rows: int, training: Training, *, has_system: bool) -> Schedule:
    """Divide what a number of rows needs into repeats and epochs.

    The base's answers come once an epoch: where rows are few and often repeated, more of them fit
    beside, each seldom.

    Args:
        kind: What the persona is.
        rows: Distinct rows that are trained on.
        training: The manifest's table, which wins over the kind.
        has_system: Whether a system text is served that rows can carry.

    """
    visits = training.epochs or min(
        max(kind.repeated_rows / rows, kind.least_epochs), kind.most_epochs
    )
    repeats = max(1, round(visits / EPOCHS))
    share = training.system_share if has_system else 0.0
    system_repeats = round(repeats * share)
    if 0 < share < 1:
        repeats = max(2, repeats)
        system_repeats = min(max(1, round(repeats * share)), repeats - 1)
    replay = kind.replay if training.replay is None else training.replay
    replayed = repeats * max(round(replay * rows), kind.least_replay) if replay else 0
    return Schedule(visits / repeats, repeats - system_repeats, system_repeats, replayed)
