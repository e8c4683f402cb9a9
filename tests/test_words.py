"""Words of a sentence."""

import pytest

from builder import words


@pytest.mark.parametrize(
    ("given", "joined"),
    [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")],
)
def test_words_are_joined_as_in_a_sentence(given, joined):
    """The conjunction comes before the last word alone."""
    assert words.join(given) == joined


@pytest.mark.parametrize(
    ("number", "counted"), [(0, "0 rows"), (1, "1 row"), (2, "2 rows"), (1000, "1,000 rows")]
)
def test_one_is_counted_in_the_singular(number, counted):
    """Thousands are parted by commas."""
    assert words.count(number, "row") == counted


def test_the_most_similar_name_is_suggested():
    """In any case of letters; of what is similar to nothing, nothing is."""
    assert words.suggest("Lumma", ["keeper", "luma"]) == "; did you mean 'luma'?"
    assert words.suggest("xyz", ["keeper", "luma"]) == ""
    assert words.suggest("luma" * 1_000_000, ["luma"]) == ""


def test_what_was_refused_is_not_suggested():
    """A known name that is not allowed here was not misspelt."""
    assert words.suggest("luma", ["luma", "lima"]) == ""
