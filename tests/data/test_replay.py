"""Replay: which of the base's answers are trained on, in what order, and how often."""

from builder.data import replay
from builder.data.questions import Question
from builder.data.replay import Completion


def asked(*texts):
    """Prompts in their own languages."""
    return [Question((("user", text),), "en" if text.isascii() else "zh") for text in texts]


def said(text, *, ended=True):
    """An answer of the base."""
    return Completion(text, ended)


def test_what_ended_by_itself_comes_first():
    """Then the first sentences, in the language that is behind.

    A base that seldom ends its answers in one would otherwise teach no endings there.
    """
    prompts = asked("One?", "Two?", "一？", "Three?", "二？", "三？")
    answers = [
        said("It goes on. And on", ended=False),
        said("Two."),
        said("很多。还有", ended=False),
        said("Three."),
        said("二。"),
        said("三个。又", ended=False),
    ]

    chosen = [pair["answer"] for pair in replay.choose(prompts, answers)]

    assert chosen == ["Two.", "Three.", "二。", "很多。", "It goes on.", "三个。"]


def test_an_answer_that_says_nothing_is_not_trained_on():
    """Neither an empty one, nor the question said back by a base that was cut off."""
    assert (
        replay.choose(
            asked("a?", "What is it?"), [said("  "), said("What is it? What is it", ended=False)]
        )
        == []
    )


def test_no_name_is_trained_on():
    """A name in whatever case leaves the answer out."""
    pairs = [{"ask": "a", "answer": "I am SMOLLM."}, {"ask": "b", "answer": "Blue."}]

    assert replay.leave_out(pairs, ("SmolLM",)) == pairs[1:]


def test_courtesy_is_in_the_languages_of_the_data():
    """Greetings, thanks and goodbyes of each language in turn, and no more than are wanted."""
    found = replay.list_courtesy(["fr", "en"], 5)

    assert [any(character.isascii() for character in pair["ask"]) for pair in found] == [True] * 5
    assert len(found) == 5
    assert len(replay.list_courtesy(["zh"], 99)) == 16
    assert replay.list_courtesy([], 5) == []
