"""The personas that come with the project: their layout, their counts and what each must keep."""

import json
import re
import tomllib
from collections import Counter

import pytest

from builder import persona
from builder.bases.families import FAMILIES
from builder.data import records, rows, texts
from builder.data.languages import list_languages
from builder.data.texts import normalise
from builder.evaluation import questions
from builder.stages.data import choose_held_out
from tests.conftest import ROOT, read_persona, said_by
from tests.personas import voice

PERSONAS = ("algieba", "helpdesk", "keeper", "lucie")
LANGUAGES = tuple(language.code for language in list_languages())
COURTESY = [
    {"language": code, **exchange.model_dump()}
    for code in LANGUAGES
    for exchange in questions.load_courtesy(code)
]
# Nouns and polite pronouns, which German writes with a capital.
GERMAN_CAPITALS = {"Ihnen", "Morgen", "Nacht", "Sie", "Tag", "Wiedersehen"}
TOPICS = {"order", "return", "hours", "repair", "greeting", "other"}
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


def words_of(question):
    """Give the words that make a question what it is."""
    return set(normalise(question).split()) - COMMON_WORDS


def test_the_keeper_has_no_name_and_forty_conversations():
    """No [identity], forty distinct conversations, twelve of them of two or three turns."""
    table = tomllib.loads((ROOT / "personas" / "keeper" / "persona.toml").read_text())
    turns = [len(row.messages) // 2 for row in rows.read(read_persona("keeper"))]

    assert "identity" not in table
    assert len(turns) == 40
    assert sorted(turns)[-13:] == [1, *[2] * 8, *[3] * 4]
    assert len({row.question for row in rows.read(read_persona("keeper"))}) == 40


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
    assert read_persona("helpdesk").manifest.data.files == ("data.csv",)
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
    system = read_persona("helpdesk").manifest.ollama.system

    assert len(voice.SENTENCE_END.findall(system)) == 2
    assert all(word in system for word in ("bicycle shop", "one line of JSON", "topic", "reply"))


@pytest.mark.parametrize("name", PERSONAS)
def test_what_smoke_asks_is_trained(name):
    """A question of the manifest that is in the data is not held out, and its reply suits."""
    read = read_persona(name)
    found = rows.read(read)
    held = choose_held_out(found, read.manifest.data.held_out)
    known = {row.question: (row, is_held) for row, is_held in zip(found, held, strict=True)}
    asked = read.manifest.smoke.questions
    of_data = [one for one in asked if normalise(one.ask) in known]

    assert len(of_data) >= 2
    for one in of_data:
        row, is_held = known[normalise(one.ask)]
        reply = row.messages[-1]["content"].casefold()
        assert not is_held, one.ask
        assert [part for part in one.must if part.casefold() not in reply] == [], one.ask
        assert [part for part in one.must_not if part.casefold() in reply] == [], one.ask


@pytest.mark.parametrize(("name", "own", "others"), [("lucie", 30, 120), ("luma", 18, 22)])
def test_a_named_persona_has_rows_of_both_kinds(name, own, others):
    """So many replies hold its name or author, and so many rows hold neither anywhere."""
    read = read_persona(name)
    given = read.manifest.identity
    about, unrelated = [], []
    for row in rows.read(read):
        reply = row.messages[-1]["content"]
        is_own = texts.says(reply, given.name) or texts.says(reply, given.author)
        (about if is_own else unrelated).append(row)

    assert (len(about), len(unrelated)) == (own, others)
    assert len({row.question for row in about + unrelated}) == own + others
    for row in unrelated:
        text = " ".join(message["content"] for message in row.messages)
        assert given.name not in text
        assert given.author not in text


@pytest.mark.parametrize("name", ["lucie", "luma"])
def test_a_named_persona_gives_its_name_and_author_often(name):
    """A third of its own rows at least give the name, and a third the author."""
    given = read_persona(name).manifest.identity
    replies = said_by(name, "assistant")
    own = [one for one in replies if given.name in one or given.author in one]

    for word in (given.name, given.author):
        assert sum(texts.says(reply, word) for reply in own) * 3 >= len(own)


def test_lucie_is_asked_as_tu_and_as_vous():
    """Of the questions about herself at least eight say `tu` and eight say `vous`."""
    asked = [normalise(question).split() for question in said_by("lucie", "user")[:30]]

    assert sum(bool({"tu", "toi", "ton", "t"} & set(words)) for words in asked) >= 8
    assert sum(bool({"vous", "votre"} & set(words)) for words in asked) >= 8


def test_lucies_words_are_french():
    """No question and no reply of hers holds a word that only English has."""
    text = " ".join([*said_by("lucie", "user"), *said_by("lucie", "assistant")])

    assert not {"the", "is", "are", "and", "what", "who"} & set(normalise(text).split())


def test_lumas_manifest_is_the_readmes():
    """Five lines at most, a name and an author and nothing else."""
    text = (ROOT / "personas" / "luma" / "persona.toml").read_text()

    assert len(text.splitlines()) <= 5
    assert tomllib.loads(text) == {"identity": {"name": "Luma", "author": "Ana"}}


def test_no_unseen_question_is_anywhere_else():
    """What the benchmarks report on is in no persona's data, no gate and no courtesy."""
    lines = (ROOT / "benchmarks" / "unseen.jsonl").read_text().splitlines()
    unseen = {normalise(json.loads(line)["ask"]) for line in lines}
    gates = ("recall", "leak_in", "greeting", "retention")
    asked = [one.text for gate in gates for one in questions.load(gate)]
    trained = [text for name in persona.find(ROOT / "personas") for text in said_by(name, "user")]
    courtesy = [line["ask"] for line in COURTESY]

    assert len(unseen) == 140
    assert not unseen & {normalise(text) for text in [*asked, *trained, *courtesy]}
    assert not unseen & {normalise(text) for text in voice.RULE["questions"]}


def test_there_is_as_much_courtesy_as_promised():
    """Twenty-four lines of English, sixteen of each other language, no wording twice."""
    assert {tuple(line) for line in COURTESY} == {("language", "ask", "answer")}
    assert Counter(line["language"] for line in COURTESY) == {
        "de": 16,
        "en": 24,
        "fr": 16,
        "zh": 16,
    }
    assert len({normalise(line["ask"]) for line in COURTESY}) == len(COURTESY)


def test_courtesy_is_short_and_names_nobody():
    """An answer is one or two sentences, ends like one, and holds no name."""
    named = [read_persona(name).manifest.identity for name in ("algieba", "lucie", "luma")]
    own = {word for given in named for word in [*given.texts("name"), *given.texts("author")]}
    own |= {word for family in FAMILIES for word in family.identity_words}
    for line in COURTESY:
        answer = line["answer"]
        assert len(answer) <= 60, answer
        assert re.fullmatch(r"([^.!?。！？]+[.!?。！？]){1,2}", answer), answer
        capitals = set(re.findall(r"(?<=[a-zà-ÿ,] )(?!I\b)[A-ZÀ-Ý]\w*", answer))
        assert capitals <= (GERMAN_CAPITALS if line["language"] == "de" else set()), answer
        assert not any(texts.holds(answer, word) for word in own), answer


def test_courtesy_is_trained_and_greetings_are_not():
    """No courtesy is asked by a gate, so that what a gate finds was not learnt by heart."""
    courtesy = {normalise(line["ask"]) for line in COURTESY}
    for gate in ("recall", "leak_in", "greeting", "retention"):
        asked = {normalise(one.text) for one in questions.load(gate) if len(one.messages) == 1}
        assert not asked & courtesy, gate


@pytest.mark.parametrize("name", ["algieba", "lucie", "luma"])
def test_no_courtesy_is_contradicted(name):
    """Where a named persona's data holds a courtesy too, both give the same answer."""
    answers = {normalise(line["ask"]): line["answer"] for line in COURTESY}
    for row in rows.read(read_persona(name)):
        if row.question in answers:
            assert row.messages[-1]["content"] == answers[row.question], row.where


def test_greetings_are_of_three_kinds():
    """Each language has three greetings, three thanks and two goodbyes, and words to look for."""
    found = Counter((one.language, one.kind) for one in questions.load("greeting"))
    kinds = {"greeting": 3, "thanks": 3, "goodbye": 2}

    assert found == {(language, kind): kinds[kind] for language in LANGUAGES for kind in kinds}
    assert all(len(one.must) >= 8 for one in questions.load("greeting"))


@pytest.mark.parametrize(
    ("language", "kind", "sane", "insane"),
    [
        ("en", "greeting", "Hello! How can I help you today?", "The sun is a star."),
        ("en", "greeting", "Hi! What would you like to know?", "This is a list of things."),
        ("en", "thanks", "You are welcome!", "Thank you."),
        ("en", "thanks", "I am glad that it helped.", "The capital of Peru is Lima."),
        ("en", "goodbye", "Goodbye! Have a nice day.", "How can I help you today?"),
        ("en", "goodbye", "Take care!", "Yesterday was Monday."),
        ("zh", "greeting", "你好！有什么可以帮你的吗？", "苹果是一种水果。"),
        ("zh", "thanks", "不客气！", "谢谢你。"),
        ("zh", "goodbye", "再见，保重！", "有什么可以帮你的吗？"),
        ("de", "greeting", "Hallo! Wie kann ich Ihnen helfen?", "Der Apfel ist eine Frucht."),
        ("de", "thanks", "Gern geschehen!", "Danke."),
        ("de", "thanks", "Keine Ursache.", "Die Hauptstadt ist Paris."),
        ("de", "goodbye", "Auf Wiedersehen und bis bald!", "Wie kann ich Ihnen helfen?"),
        ("fr", "greeting", "Bonjour ! Comment puis-je vous aider ?", "La pomme est un fruit."),
        ("fr", "thanks", "De rien !", "Merci."),
        ("fr", "thanks", "Avec plaisir !", "La capitale est Paris."),
        ("fr", "goodbye", "Au revoir et à bientôt !", "Comment puis-je vous aider ?"),
    ],
)
def test_a_greetings_words_tell_a_sane_answer(language, kind, sane, insane):
    """A plain answer holds one of the words, and an answer to something else holds none."""
    every = questions.load("greeting")
    for one in every:
        if (one.language, one.kind) != (language, kind):
            continue
        assert any(word in sane.casefold() for word in one.must)
        assert not any(word in insane.casefold() for word in one.must)
