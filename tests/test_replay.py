"""Replay: which of the base's answers are trained on, in what order, and how often beside the persona's rows."""

import pytest

from builder import base
from builder.gates.questions import Question
from builder.llama import Answer
from builder.stages import replay


def asked(*texts):
    """Prompts in their own languages."""
    return [Question((("user", text),), "en" if text.isascii() else "zh") for text in texts]


def said(text, *, ended=True):
    """An answer of the base."""
    return Answer(text, [], [], ended=ended)


def test_what_ended_by_itself_comes_first():
    """Then the first sentences, in the language that is behind: a base which seldom ends there would else teach no endings in it."""
    prompts = asked("One?", "Two?", "一？", "Three?", "二？", "三？")
    answers = [said("It goes on. And on", ended=False), said("Two."), said("很多。还有", ended=False), said("Three."), said("二。"), said("三个。又", ended=False)]

    chosen = [pair["answer"] for pair in replay.choose(prompts, answers)]

    assert chosen == ["Two.", "Three.", "二。", "很多。", "It goes on.", "三个。"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("Slow. This is because", "Slow."),
        ("Water is 1.5 times", ""),
        ("1. Bananas\n2. Oranges", ""),
        ("沙漠！很热", "沙漠！"),
        ("  A line\nthat goes on! And", "A line\nthat goes on!"),
        ("never ending", ""),
    ],
)
def test_an_answer_that_was_cut_gives_its_first_sentence(text, sentence):
    """A full stop after a figure ends none; what has no end gives nothing."""
    assert replay.first_sentence(text) == sentence


def test_an_answer_that_says_nothing_is_not_trained_on():
    """Neither an empty one, nor the question said back by a base that was cut off."""
    assert replay.choose(asked("a?", "What is it?"), [said("  "), said("What is it? What is it", ended=False)]) == []


def test_no_name_is_trained_on():
    """A name in whatever case leaves the answer out."""
    pairs = [{"ask": "a", "answer": "I am SMOLLM."}, {"ask": "b", "answer": "Blue."}]

    assert replay.leave_out(pairs, ("SmolLM",)) == pairs[1:]


@pytest.mark.parametrize("rows", [1, 18, 60, 100, 240, 405, 5000])
def test_passes_are_divided_into_few_epochs(rows):
    """The persona's rows are passed over as often as their number asks, and the base's answers three or four times."""
    family = base.family_of(base.EMBEDDED)
    times, epochs = family.divide_passes(rows)

    assert times * epochs == pytest.approx(family.passes_over(rows))
    assert base.EPOCHS * 0.8 <= epochs < base.EPOCHS * 1.5


def test_half_a_pass_stays_half_a_pass():
    """A manifest may ask for less than one."""
    assert base.family_of(base.EMBEDDED).divide_passes(405, 0.5) == (1, 0.5)
