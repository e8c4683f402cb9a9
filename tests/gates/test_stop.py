"""Stop: what is no answer that ended by itself."""

import pytest

from builder.gates import stop
from tests.evaluation.samples import SUBJECT, answer, answered, evidence


@pytest.mark.parametrize(
    "text", ["Hi <|im_end|>", "One.\n### Instruction: two", "I am.\nuser\nWho?", " "]
)
def test_stop_refuses_what_runs_over_the_end(text):
    """A special token, a heading of the template, a role's name or nothing is no answer."""
    assert not stop.is_right(SUBJECT, answer(text))
    assert stop.is_right(SUBJECT, answer("A user asked."))
    assert not stop.is_right(SUBJECT, answer("Words without end", ended=False))


def test_every_gates_answer_is_counted_and_an_endless_one_named():
    """The answers of all gates are counted, and the first without end is in the note."""
    ended = [answered("recall", f"{number}?", "Yes.") for number in range(7)]
    endless = answered("leak_in", "Write a haiku", "sea sea", ended=False)

    result = stop.judge(evidence(SUBJECT, [*ended, endless], gate="stop"))

    assert (result.right, result.of, result.marks) == (7, 8, ())
    assert "without end: 'Write a haiku'" in result.note
    assert result.wrong == (endless,)
