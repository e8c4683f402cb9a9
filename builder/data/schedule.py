"""How often each row is trained on, and how many of the base's own answers."""

from __future__ import annotations

from dataclasses import dataclass

from builder.data.kinds import Kind

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


def plan(
    kind: Kind,
    rows: int,
    *,
    epochs: float | None,
    replay: float | None,
    system_share: float,
) -> Schedule:
    """Divide what a number of rows needs into repeats and epochs.

    The base's answers come once an epoch: where rows are few and often repeated, more of them fit
    beside, each seldom.

    Args:
        kind: What the persona is.
        rows: Distinct rows that are trained on.
        epochs: How often each row is trained on; None leaves it to the kind.
        replay: The base's answers for each row; None leaves it to the kind.
        system_share: Share of a row's repeats that carry the served system text; 0 where there is
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
