"""The gates' questions as data."""

import json
from collections import Counter

import pytest

from builder import persona
from builder.data import questions, rows
from builder.data.texts import normalise
from builder.errors import ToolError
from tests.conftest import ROOT, read_persona, said_by


def test_no_question_stands_in_any_training_file():
    """No gate's question is a turn of a persona's data (a task: its last turn), or in replay."""
    names = persona.find(ROOT / "personas")
    every_row = [row for name in names for row in rows.read(read_persona(name))]
    turns = {normalise(text) for name in names for text in said_by(name, "user")}
    last = {normalise(row.messages[-2]["content"]) for row in every_row}
    replay = {normalise(one.text) for one in questions.load("replay")}

    assert {"algieba", "helpdesk", "keeper", "lucie", "luma"} <= set(names)
    gates = {"recall": turns, "leak_in": turns, "greeting": turns, "retention": last}
    for name, trained in gates.items():
        asked = {normalise(one.text) for one in questions.load(name) if len(one.messages) == 1}
        assert not asked & trained, name
        assert not asked & replay, name


def test_there_are_as_many_questions_as_promised():
    """Of each of three languages forty wordings, thirty unrelated questions and eight greetings.

    Of English and Chinese forty tasks each, and over 250 prompts for replay.
    """

    def count(name):
        package = "builder.data" if name == "replay" else "builder.gates"
        return Counter(one.language for one in questions.load(name, package))

    assert count("recall") == dict.fromkeys(("en", "zh", "fr"), 40)
    assert count("leak_in") == dict.fromkeys(("en", "zh", "fr"), 30)
    assert count("greeting") == dict.fromkeys(("en", "zh", "fr"), 8)
    assert count("retention") == dict.fromkeys(("en", "zh"), 40)
    assert count("replay").total() > 250


def test_every_language_asks_alike():
    """The wordings of recall are of the same kinds, and about the same things, in each language."""
    layouts = {}
    for one in questions.load("recall"):
        layouts.setdefault(one.language, Counter())[one.kind, one.about] += 1

    assert {"en", "fr", "zh"} == set(layouts)
    assert layouts["fr"] == layouts["en"] == layouts["zh"]


@pytest.mark.parametrize(
    "line", ['{"language": "en", "ask": "?", "colour": 1}', '{"language": "en"}', '{"ask": "?"}']
)
def test_a_wrong_line_of_a_gates_file_is_told(line):
    """An unknown key, or a line that asks nothing, is an error with its place."""
    with pytest.raises(ToolError, match=r"recall\.jsonl:3: "):
        questions.parse(json.loads(line), "recall.jsonl:3")
