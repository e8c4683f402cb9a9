"""What a speaker answers, and what it remembers."""

import contextlib
from types import SimpleNamespace

import pytest

from builder.chat.speaker import Speaker, begin, fit
from builder.errors import PersonaError
from builder.ollama.served import Served

SERVED = Served(
    model="luma:latest",
    parameters={"num_predict": 24},
    template=None,
    system=None,
    license=None,
)


def test_the_pieces_are_the_answer(model):
    """The pieces together are the whole answer, also where a character is several tokens."""
    for text in (
        "<|im_start|>user\nName a fruit.<|im_end|>\n<|im_start|>assistant\n",
        "你好，我是",
    ):
        prompt = model.tokenize(text)

        assert "".join(model.stream(prompt, 12)) == model.continue_prompt(prompt, 12).text


def test_an_answer_ends_with_its_end(model):
    """The end token ends an answer, is no part of its text, and has a margin like every other."""
    prompt = model.tokenize(
        "<|im_start|>user\nWhat is 2+2?<|im_end|>\n<|im_start|>assistant\nFour."
    )

    answer = model.continue_prompt(prompt, 4)

    assert (answer.text, answer.ended, len(answer.margins)) == ("", True, 1)
    assert "".join(model.stream(prompt, 4)) == ""


@pytest.fixture
def by_letter():
    """A stand-in whose prompt is the contents, a token a letter."""
    return SimpleNamespace(
        render=lambda messages: "".join(message["content"] for message in messages), tokenize=list
    )


def test_the_oldest_is_left_out_where_a_conversation_grows_too_long(by_letter):
    """The first questions go with their answers; the system text and the last question stay."""
    turns = [
        {"role": role, "content": text}
        for role, text in (
            ("user", "aa"),
            ("assistant", "bb"),
            ("user", "cc"),
            ("assistant", "dd"),
            ("user", "ee"),
        )
    ]

    assert "".join(fit(by_letter, "S", turns, 9)) == "Sccddee"
    assert "".join(fit(by_letter, None, turns, 99)) == "aabbccddee"
    assert len(turns) == 5


def test_a_question_without_room_is_an_error(by_letter):
    """One that alone is longer than the context is told with its length, and is not kept."""
    with pytest.raises(PersonaError, match="is 4 tokens long, expected at most 3"):
        fit(by_letter, "S", [{"role": "user", "content": "aaa"}], 3)

    speaker = Speaker(name="luma", model=by_letter)
    with pytest.raises(PersonaError, match="expected at most 4072"):
        list(speaker.answer("a" * 5000, begin(SERVED)))
    assert speaker.turns == []


@pytest.mark.parametrize(
    ("taken", "kept"), [(0, 0), (1, 2), (2, 2)], ids=["unasked", "cut", "whole"]
)
def test_a_stopped_answer_stays_as_far_as_it_was_said(by_letter, taken, kept):
    """What was said is kept with its question; a question without an answer is not."""
    by_letter.stream = lambda *_: iter(["One, ", "two."])
    speaker = Speaker(name="luma", model=by_letter)
    with contextlib.closing(speaker.answer("Count.", begin(SERVED))) as pieces:
        said = "".join(next(pieces) for _ in range(taken))

    assert len(speaker.turns) == kept
    if kept:
        assert speaker.turns[1] == {"role": "assistant", "content": said}


def test_an_empty_answer_leaves_no_turn(by_letter):
    """Two questions without an answer between them are no conversation."""
    by_letter.stream = lambda *_: iter(["", " "])
    speaker = Speaker(name="luma", model=by_letter)

    assert list(speaker.answer("Hm?", begin(SERVED))) == ["", " "]
    assert speaker.turns == []
