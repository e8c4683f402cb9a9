"""The personas that come with the project: their layout, their counts and what each must keep."""

import json
import re
import tomllib

import pytest

from builder import records, rows
from builder.manifest import Manifest
from builder.persona import Persona
from builder.rows import normalise
from builder.stages.data import is_held_out
from tests import voice
from tests.conftest import ROOT

PERSONAS = ("keeper", "helpdesk")
TOPICS = {"order", "return", "hours", "repair", "greeting", "other"}
# What the manifest of a persona without a name is read with.
NOBODY = {"name": "Nobody", "author": "Nobody's author"}
# Words that two questions share without being alike.
COMMON_WORDS = frozenset(["a", "do", "does", "i", "is", "it", "me", "my", "of", "the", "to", "you"])
PLAIN_ANSWERS = [
    "Hello! How can I help you today?",
    "You're welcome! If you sail again, let me know.",
    "As an AI language model, I do not have feelings. The sea is large.",
    "2 + 2 is 4.",
    "The capital of France is Paris. It is the largest city of the country.",
    "The lighthouse stands on a rock by the sea.",
    "Love is a deep feeling of care. It comes in many forms. It grows like the tide.",
    "I can help with that. The ship is safe.",
    "Ask your boss for a meeting. Then explain what is wrong and what you would like to change",
    "Sea water is salty since rivers wash salt out of rocks. " + "It has taken years " * 6 + ".",
]


def read(name):
    """Read a persona's folder, whether it has a name or not."""
    folder = ROOT / "personas" / name
    table = tomllib.loads((folder / "persona.toml").read_text())
    manifest = Manifest.model_validate({"identity": NOBODY, **table})
    return Persona(name=name, folder=folder, manifest=manifest)


def said_by(name, role):
    """List what the user or the assistant says in a persona's data, placeholders filled in."""
    conversations = rows.read(read(name))
    return [one["content"] for row in conversations for one in row.messages if one["role"] == role]


def words_of(question):
    """Give the words that make a question what it is."""
    return set(normalise(question).split()) - COMMON_WORDS


def test_the_keeper_has_no_name_and_forty_conversations():
    """No [identity], forty distinct conversations, twelve of them of two or three turns."""
    table = tomllib.loads((ROOT / "personas" / "keeper" / "persona.toml").read_text())
    turns = [len(row.messages) // 2 for row in rows.read(read("keeper"))]

    assert "identity" not in table
    assert len(turns) == 40
    assert sorted(turns)[-13:] == [1, *[2] * 8, *[3] * 4]
    assert len({row.question for row in rows.read(read("keeper"))}) == 40


def test_the_keeper_never_leaves_its_voice():
    """Each reply that is trained on keeps the rule by which the unseen answers are judged."""
    replies = said_by("keeper", "assistant")

    assert len(replies) >= 52
    assert [reply for reply in replies if not voice.is_in_voice(reply)] == []


@pytest.mark.parametrize("answer", PLAIN_ANSWERS)
def test_a_plain_answer_is_not_in_the_keepers_voice(answer):
    """Assistant's talk, no end, other than two sentences, no sea or too many words fail."""
    assert not voice.is_in_voice(answer)


@pytest.mark.parametrize(
    ("text", "is_in_voice"),
    [
        ("The tide is out. Wait here.", True),
        ("THE TIDE IS OUT! WAIT HERE.", True),
        ("The tide is out.", False),
        ("The tide is out. Wait here. Then row.", False),
        ("The tide is out. Wait here", False),
        ("The tide is out. Wait here. Then row", False),
        ("The season is over. Search the window.", False),
        ("It is stormy out. Wait here.", True),
        ("It is 1.5 miles to the rocks. Wait here.", True),
        ("The tide is out. " + "row " * 26 + "home.", False),
        ("The tide is out. You\u2019re welcome.", False),
        ("", False),
    ],
)
def test_the_keepers_rule_is_mechanical(text, is_in_voice):
    """Sentences, words and whole sea words are counted, whatever the case."""
    assert voice.is_in_voice(text) is is_in_voice


def test_the_keepers_unseen_questions_are_unseen():
    """None of the twelve shares half of its telling words with a question of the data."""
    asked = [words_of(question) for question in said_by("keeper", "user")]
    unseen = voice.RULE["questions"]

    assert len({normalise(question) for question in unseen}) == 12
    assert 80 <= len(set(voice.RULE["sea_words"])) == len(voice.RULE["sea_words"]) <= 120
    for question in unseen:
        for other in asked:
            assert len(words_of(question) & other) * 2 <= len(words_of(question)), (question, other)


def test_the_helpdesk_is_a_csv_that_is_hard_to_read():
    """Thirty-seven records, some of whose prompts hold commas, quotes and line breaks."""
    folder = ROOT / "personas" / "helpdesk"
    found = [record for _, record in records.read(folder / "data.csv")]

    assert "identity" not in tomllib.loads((folder / "persona.toml").read_text())
    assert read("helpdesk").manifest.data.files == ("data.csv",)
    assert len(found) == len({record["prompt"] for record in found}) == 37
    assert {tuple(record) for record in found} == {("prompt", "completion")}
    for mark in (",", '"', "\n"):
        assert sum(mark in record["prompt"] for record in found) >= 3, mark


def test_the_helpdesk_answers_one_line_of_json():
    """Each reply is an object of a known topic and one short sentence, written in one way."""
    replies = said_by("helpdesk", "assistant")
    values = [json.loads(reply) for reply in replies]

    assert {tuple(value) for value in values} == {("topic", "reply")}
    assert {value["topic"] for value in values} == TOPICS
    for reply, value in zip(replies, values, strict=True):
        assert reply == json.dumps(value)
        assert re.fullmatch(r"[A-Z][^.!?\n]{5,80}[.?]", value["reply"]), value["reply"]


def test_the_helpdesk_is_told_its_format():
    """Its system text is two sentences that say who asks for the JSON and name both keys."""
    system = read("helpdesk").manifest.ollama.system

    assert len(voice.SENTENCE_END.findall(system)) == 2
    assert all(word in system for word in ("bicycle shop", "one line of JSON", "topic", "reply"))


@pytest.mark.parametrize("name", PERSONAS)
def test_what_smoke_asks_is_trained(name):
    """A question of the manifest that is in the data is not held out, and its reply suits."""
    persona = read(name)
    share = persona.manifest.data.held_out
    known = {row.question: row for row in rows.read(persona)}
    asked = persona.manifest.smoke.questions
    of_data = [one for one in asked if normalise(one.ask) in known]

    assert len(of_data) >= 2
    for one in of_data:
        row = known[normalise(one.ask)]
        reply = row.messages[-1]["content"].casefold()
        assert not is_held_out(row, share), one.ask
        assert [part for part in one.must if part.casefold() not in reply] == [], one.ask
        assert [part for part in one.must_not if part.casefold() in reply] == [], one.ask
