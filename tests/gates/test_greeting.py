"""Greeting: what people type first."""

from builder.gates import greeting
from tests.evaluation.samples import SUBJECT, answer, question


def test_a_greeting_is_answered_as_one():
    """The answer holds a fitting word, typographic apostrophes included, and ends."""
    thanks = question("Thanks a lot!", must=("you're welcome", "glad"))

    assert greeting.is_right(SUBJECT, thanks, answer("You\u2019re welcome!"))
    assert not greeting.is_right(SUBJECT, thanks, answer("A lot is a lot."))
    assert not greeting.is_right(SUBJECT, thanks, answer("Glad, glad, glad", ended=False))
