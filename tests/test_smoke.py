"""How answers become a verdict."""

from builder.llama import Answer
from builder.stages.smoke import Check, _failures, _judge


def held_out(wrong: int, right: int) -> list[dict]:
    """Make judged held-out answers."""
    messages = [{"role": "user", "content": "?"}]
    return [{"kind": "held out", "messages": messages, "answer": "", "ended": True, "problem": problem} for problem in ["lacks 'Luma'"] * wrong + [None] * right]


def test_one_in_twelve_held_out_may_go_wrong():
    """One of twelve is forgiven, two are not."""
    assert not _failures(held_out(1, 11))
    assert len(_failures(held_out(2, 10))) == 2


def test_a_handful_of_held_out_rows_stops_nothing():
    """A persona of twenty rows holds out two or three: too few to judge by, but an answer without end still stops."""
    assert not _failures(held_out(1, 1))
    endless = [{**result, "ended": False} for result in held_out(1, 1)]
    assert len(_failures(endless)) == 1


def test_an_answer_is_judged_by_what_it_holds_and_by_its_end():
    """Case is ignored, an empty answer and one that never ends are wrong."""
    check = Check("manifest", [], ("Luma",), ("Qwen",))

    assert _judge(check, Answer("I am LUMA.", [1], [1.0], ended=True)) is None
    assert _judge(check, Answer("I am qwen.", [1], [1.0], ended=True)) == "lacks 'Luma', holds 'Qwen'"
    assert _judge(check, Answer(" ", [1], [1.0], ended=True)) == "is empty"
    assert _judge(check, Answer("Luma", [1, 2], [1.0], ended=False)) == "did not end within 2 tokens"
