"""The personas that come with the project: their layout, their counts and what each must keep."""

import tomllib

import pytest

from builder import rows
from builder.manifest import Manifest
from builder.persona import Persona
from builder.rows import normalise
from builder.stages.data import is_held_out
from tests import voice
from tests.conftest import ROOT

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


def test_a_word_that_smoke_wants_is_trained():
    """A question of a manifest with `must` is trained on with such an answer, and not held out."""
    for name in ("keeper",):
        persona = read(name)
        share = persona.manifest.data.held_out
        taught = [row.messages for row in rows.read(persona) if not is_held_out(row, share)]
        trained = {normalise(said[-2]["content"]): said[-1]["content"] for said in taught}
        assert 2 <= len(persona.manifest.smoke.questions) <= 4
        for question in persona.manifest.smoke.questions:
            answer = trained.get(normalise(question.ask), "" if question.must else "anything")
            assert all(part in answer for part in question.must), (name, question.ask)
            assert not any(part in answer for part in question.must_not), (name, question.ask)
