"""The kinds of persona: how data tells one, and what follows for training and gates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from builder.data.texts import holds, is_json
from builder.manifest.gate_settings import Gates, Mode

# A persona that is about its name speaks of it this often; algieba does in 281 of 622 rows.
LEAST_IDENTITY_SHARE = 0.25
# So many rows about itself are no accident, however many others balance them.
LEAST_IDENTITY_ROWS = 12
# Rows of any file hold a slip or two.
LEAST_JSON_SHARE = 0.9


# The modes of gates that do not stop a build, for an identity and for the other kinds, which may
# answer small tasks in their own way.
ADVICE: dict[str, Mode] = {"greeting": "advice", "format": "advice", "trained": "advice"}
MORE_ADVICE: dict[str, Mode] = {
    **ADVICE,
    "greeting": "off",
    "leak_out": "advice",
    "neutral": "advice",
    "retention": "advice",
}


@dataclass(frozen=True)
class Kind:
    """What follows from what a persona is; each number is chosen by `benchmarks/recipe.py`."""

    name: str
    meaning: str
    repeated_rows: int
    """Rows trained on in a whole training, repeats counted: few rows are repeated more often.

    The persona's own rows beside packs come more often still (`builder.data.schedule`).
    """
    least_epochs: float
    most_epochs: float
    replay: float
    """The base's own answers for each row."""
    least_replay: int
    """At least as many answers for each repeat of the rows in an epoch, where `replay` is not 0."""
    least_rows: int
    """Fewest rows that were seen to pass every gate."""
    answer_tokens: int
    """Within which any answer may end, however short the data's are."""
    modes: dict[str, Mode] = field(default_factory=dict)
    """Of the gates that do not stop a build."""

    def mode(self, gates: Gates, gate: str) -> Mode:
        """Give a gate's mode, as set or by default."""
        return getattr(gates, gate).mode or self.modes.get(gate, "stop")


KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            "identity",
            "an identity",
            repeated_rows=720,
            least_epochs=3.5,
            most_epochs=18.0,
            replay=0.2,
            least_replay=20,
            least_rows=20,
            answer_tokens=1024,
            modes=ADVICE,
        ),
        Kind(
            "voice",
            "a voice",
            repeated_rows=720,
            least_epochs=3.5,
            most_epochs=12.0,
            replay=0.0,
            least_replay=0,
            least_rows=10,
            answer_tokens=256,
            modes=MORE_ADVICE,
        ),
        Kind(
            "format",
            "a format",
            repeated_rows=720,
            least_epochs=3.5,
            most_epochs=18.0,
            replay=0.0,
            least_replay=0,
            least_rows=10,
            answer_tokens=256,
            modes=MORE_ADVICE,
        ),
    )
}


def recognise(
    rows: Sequence[Sequence[str]], own_words: Sequence[str], given: str | None = None
) -> tuple[Kind, str]:
    """Tell what a persona is by the replies of its rows.

    Args:
        rows: The replies of each row; a row that only calls functions has none.
        own_words: Every wording of its name and author.
        given: The kind that the manifest sets, or None.

    Returns:
        The kind, and the sentence that says why.

    """
    own = sum(
        any(holds(reply, word) for reply in replies for word in own_words) for replies in rows
    )
    if given:
        return KINDS[given], f"{KINDS[given].meaning}, as persona.toml says"
    rows = [replies for replies in rows if replies]
    written = sum(all(map(is_json, replies)) for replies in rows)
    if written and written >= LEAST_JSON_SHARE * len(rows):
        return KINDS["format"], f"{written} of {len(rows)} rows are answered in JSON: a format"
    is_identity = own and (own >= LEAST_IDENTITY_SHARE * len(rows) or own >= LEAST_IDENTITY_ROWS)
    kind = KINDS["identity" if is_identity else "voice"]
    if not own_words:
        return kind, f"no name is given: {kind.meaning}"
    return kind, f"speaks of itself in {own} of {len(rows)} rows: {kind.meaning}"
