"""Stop: what is no answer that ended by itself."""

import dataclasses

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


def test_calls_are_left_to_their_own_gate():
    """A call may be written with special tokens, which no other answer holds."""
    call = answered("calls", "Open?", "<|tool_call_start|>[hours()]<|tool_call_end|>")
    declared = dataclasses.replace(call, question=dataclasses.replace(call.question, tools="[{}]"))
    asked = [answered("recall", "Who?", "Luma."), declared]

    assert stop.judge(evidence(SUBJECT, asked, gate="stop")).of == 1


def test_an_endless_answer_in_a_language_of_no_row_is_named_and_not_counted():
    """A French persona on a base that loops in Chinese is judged by its French answers."""
    french = dataclasses.replace(SUBJECT, spoken=("fr",))
    ended = [answered("recall", f"{number} ?", "Oui.", language="fr") for number in range(8)]
    endless = answered("leak_in", "写一首诗", "海海", language="zh", ended=False)

    result = stop.judge(evidence(french, [*ended, endless], gate="stop"))

    assert (result.verdict, result.right, result.of) == ("pass", 8, 8)
    assert "in other languages 1 without end: '写一首诗'" in result.note
    assert result.wrong == ()
