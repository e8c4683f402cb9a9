"""What a persona is, told by its data."""

import pytest

from builder.data.kinds import recognise


@pytest.mark.parametrize(
    ("replies", "own_words", "given", "kind", "reason"),
    [
        (
            ["I am Luma."] * 5 + ["Yes."] * 5,
            ["Luma"],
            None,
            "identity",
            "speaks of itself in 5 of 10 rows: an identity",
        ),
        (
            ["I am Luma."] * 1 + ["Yes."] * 9,
            ["Luma"],
            None,
            "voice",
            "speaks of itself in 1 of 10 rows: a voice",
        ),
        (["The tide is high."] * 4, [], None, "voice", "no name is given: a voice"),
        (
            ['{"a": 1}'] * 9 + ["Sorry."],
            [],
            None,
            "format",
            "9 of 10 rows are answered in JSON: a format",
        ),
        (['{"a": 1}'] * 5 + ["Sorry."] * 5, [], None, "voice", "no name is given: a voice"),
        (
            ["I am Luma."] * 12 + ["Yes."] * 90,
            ["Luma"],
            None,
            "identity",
            "speaks of itself in 12 of 102 rows: an identity",
        ),
        (
            ["The tide is high."] * 4,
            [],
            "identity",
            "identity",
            "an identity, as persona.toml says",
        ),
    ],
)
def test_a_kind_follows_from_the_replies(replies, own_words, given, kind, reason):
    """The share of replies that hold its name or are JSON decides; the manifest wins over it."""
    found, why = recognise([[reply] for reply in replies], own_words, given)

    assert (found.name, why) == (kind, reason)


def test_every_reply_of_a_row_counts():
    """A name said in an earlier turn is said."""
    found, why = recognise([["I am Luma.", "You are welcome!"]] * 4, ["Luma"])

    assert (found.name, why) == ("identity", "speaks of itself in 4 of 4 rows: an identity")


def test_a_row_without_a_reply_tells_nothing():
    """Rows that only call functions are neither JSON nor prose."""
    found, why = recognise([[], *[['{"a": 1}']] * 4], [])

    assert (found.name, why) == ("format", "4 of 4 rows are answered in JSON: a format")
    assert recognise([[], []], [])[0].name == "voice"
