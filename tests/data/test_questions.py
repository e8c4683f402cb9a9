"""The gates' questions as data."""

from collections import Counter

import pytest

from builder import persona
from builder.data import languages, questions
from builder.data.texts import normalise
from builder.errors import DataError
from tests.conftest import ROOT, read_persona, rows_of, said_by
from tests.data.asked import GATES_WITH_FILES


def test_no_question_stands_in_any_training_file():
    """No gate's question is a turn of a persona's data (a task: its last turn), or in replay."""
    names = persona.find(ROOT / "personas")
    every_row = [row for name in names for row in rows_of(read_persona(name))]
    turns = {normalise(text) for name in names for text in said_by(name, "user")}
    last = {normalise(row.messages[-2]["content"]) for row in every_row}
    replay = {normalise(one.text) for one in questions.load("replay")}

    assert {"algieba", "helpdesk", "keeper", "lucie", "luma"} <= set(names)
    for name in GATES_WITH_FILES:
        trained = last if name == "retention" else turns
        asked = {normalise(one.text) for one in questions.load(name) if len(one.messages) == 1}
        assert sorted(asked & (trained | replay)) == [], name


def test_there_are_as_many_questions_as_promised():
    """Of each language forty wordings, thirty unrelated questions and eight greetings.

    Of English and Chinese forty tasks each, and over 250 prompts for replay.
    """

    def count(name):
        return Counter(one.language for one in questions.load(name))

    codes = [language.code for language in languages.list_languages()]
    assert count("recall") == dict.fromkeys(codes, 40)
    assert count("leak_in") == dict.fromkeys(codes, 30)
    assert count("greeting") == dict.fromkeys(codes, 8)
    assert count("retention") == dict.fromkeys(("en", "zh"), 40)
    assert count("replay").total() > 250


USER, ASSISTANT = ({"role": role, "content": "?"} for role in ("user", "assistant"))


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ({"ask": "?", "colour": 1}, "unknown key 'colour', expected some of ask, turns, "),
        ({"ask": "?", "language": "en"}, "unknown key 'language'"),
        ({}, "asks nothing or twice, expected one of ask and turns"),
        ({"ask": "?", "turns": [USER]}, "asks nothing or twice"),
        ({"ask": ""}, "'ask' is '', expected "),
        ({"ask": "?", "about": "nmae"}, "'about' is 'nmae', expected "),
        ({"ask": "?", "must": "Berlin"}, "'must' is 'Berlin', expected "),
        ({"turns": [USER, ASSISTANT]}, "turns are of user, assistant, expected "),
        ({"turns": [USER, USER]}, "turns are of user, user, expected "),
        ({"turns": [{"role": "user"}]}, "'turns.0.content' is missing"),
        ("ask", "expected "),
    ],
)
def test_a_wrong_line_of_a_question_file_is_told(line, sentence):
    """An unknown key, a value of another type or a line that asks nothing is told by place."""
    with pytest.raises(DataError, match=r"^recall\.jsonl:3: ") as caught:
        questions.parse(line, "en", "recall.jsonl:3")

    assert sentence in str(caught.value)


def test_all_mistakes_of_question_files_are_told_at_once(tmp_path, monkeypatch):
    """Each wrong line of each language's file is named."""
    assert {"de", "fr"} <= {language.code for language in languages.list_languages()}
    for code in ("de", "fr"):
        (tmp_path / code).mkdir()
        (tmp_path / code / "recall.jsonl").write_text('{"ask": "?"}\n{"asks": "?"}\n')
    monkeypatch.setattr(languages, "FOLDER", tmp_path)

    with pytest.raises(DataError) as caught:
        questions.load("recall")

    assert [problem.split(": ")[0] for problem in caught.value.problems] == [
        f"{tmp_path / code / 'recall.jsonl'}:2" for code in ("de", "fr")
    ]
