"""A conversation without Ollama: what is said, and what is forgotten."""

from types import SimpleNamespace

import pytest

from builder import chat
from builder.bases import base, baseline
from builder.console import Console
from builder.errors import PersonaError
from builder.llama import Model
from builder.ollama.served import Served

SYSTEM = [{"role": "system", "content": "S"}]
SERVED = Served(
    model="luma:latest",
    parameters={"num_predict": 24},
    template=None,
    system=None,
    license=None,
)


@pytest.fixture(scope="module")
def model():
    """The embedded base itself, as it comes."""
    return Model(
        baseline.find(
            base.Base(base.EMBEDDED, "embedded", "test", base.EMBEDDED, "test", four_bit=False)
        )
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


def test_the_oldest_is_forgotten_where_a_conversation_grows_too_long(by_letter):
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

    assert "".join(chat.fit(by_letter, SYSTEM, turns, 9)) == "Sccddee"
    assert [turn["content"] for turn in turns] == ["cc", "dd", "ee"]


def test_a_question_without_room_is_an_error(by_letter):
    """One that alone is longer than the context is told with its length."""
    with pytest.raises(PersonaError, match="is 4 tokens long, expected at most 3"):
        chat.fit(by_letter, SYSTEM, [{"role": "user", "content": "aaa"}], 3)


def test_one_question_is_answered_on_stdout(capsys):
    """A question that is typed gets its answer as the result, and nothing else is printed."""
    embedded = base.Base(base.EMBEDDED, "embedded", "test", base.EMBEDDED, "test", four_bit=False)
    gguf = baseline.find(embedded)

    chat.talk(gguf, SERVED, name="luma", question="What is 2+2?", console=Console())
    printed = capsys.readouterr()

    assert "4" in printed.out
    assert printed.out.endswith("\n")
    assert printed.err == ""


def test_an_answer_cannot_move_the_cursor(capsys, monkeypatch):
    """Terminal sequences in an answer are shown as escapes; its newlines are kept."""
    model = SimpleNamespace(
        render=str, tokenize=list, stream=lambda _prompt, _limit: iter(["a\n", "\x1b[2J"])
    )
    monkeypatch.setattr(chat, "Model", lambda _path: model)

    chat.talk(None, SERVED, name="luma", question="Hi", console=Console())

    assert capsys.readouterr().out == "a\n\\x1b[2J\n"
