"""The personas that come with the project: their layout, their counts and what each must keep."""

import itertools
import json
import re
import tomllib
from collections import Counter

import pytest

from builder import persona
from builder.bases.families import FAMILIES
from builder.data import held_out, questions, records, texts
from builder.data.languages import DEFAULT, list_languages
from builder.data.texts import normalise
from tests.conftest import ROOT, read_persona, rows_of, said_by
from tests.data.asked import list_asked_texts, list_gate_questions
from tests.personas import steps, voice

PERSONAS = ("algieba", "chef", "helpdesk", "keeper", "lucie", "steps")
VOICES = tuple(sorted(path.stem for path in voice.FOLDER.glob("*.json")))
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
# Words that say nothing of what a text is about.
FUNCTION_WORDS = frozenset(["are", "can", "has", "should", "than", "which", "who"])
# The same of questions in English and in pairs of Chinese characters.
STEPS_COMMON_WORDS = COMMON_WORDS | {
    "are",
    "can",
    "for",
    "how",
    "not",
    "what",
    "which",
    "who",
    "why",
}
STEPS_COMMON_WORDS |= {"怎么", "么办", "什么"}
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
    "Peel the onion. Fry it in butter. Then add the rice and stir.",
    "Bread is baked in an oven. As an AI, I cannot taste it.",
    "You're welcome! Enjoy your soup.",
    "Boil the pasta in water with salt. Then drain it and serve it with a sauce of tomatoes",
    "Bread is made of flour and water. " + "It is baked for a long time " * 4 + ".",
    "Gravity pulls things toward each other. It keeps the Earth near the Sun.",
]


def words_of(question):
    """Give the words that make a question what it is."""
    return set(normalise(question).split()) - COMMON_WORDS


def content_of(text):
    """Give the words that a text shares only with a text about the same thing."""
    return set(normalise(text).split()) - COMMON_WORDS - FUNCTION_WORDS


@pytest.mark.parametrize(
    ("name", "rows_by_turns"),
    [("chef", {1: 68, 2: 8, 3: 4}), ("keeper", {1: 64, 2: 8, 3: 4})],
)
def test_a_voice_has_no_name_and_conversations_of_several_turns(name, rows_by_turns):
    """No [identity], and distinct conversations, twelve of them of two or three turns."""
    table = tomllib.loads((ROOT / "personas" / name / "persona.toml").read_text())
    found = rows_of(read_persona(name))

    assert "identity" not in table
    assert Counter(len(row.messages) // 2 for row in found) == rows_by_turns
    assert len({row.question for row in found}) == len(found)


@pytest.mark.parametrize("name", VOICES)
def test_each_reply_of_a_voice_is_distinct(name):
    """No reply is given twice, and no question asked twice."""
    for role in ("user", "assistant"):
        texts_of_role = [normalise(text) for text in said_by(name, role)]
        assert len(set(texts_of_role)) == len(texts_of_role) >= 92


@pytest.mark.parametrize("name", VOICES)
def test_a_voice_is_kept_in_every_reply(name):
    """Each reply that is trained on keeps the rule by which the unseen answers are judged."""
    rule = voice.read_rule(name)

    assert [reply for reply in said_by(name, "assistant") if not rule.is_met_by(reply)] == []


@pytest.mark.parametrize("name", VOICES)
@pytest.mark.parametrize("answer", PLAIN_ANSWERS)
def test_a_plain_answer_is_in_no_voice(name, answer):
    """Assistant's talk, no end, too many sentences or words, or none of the voice's words fail."""
    assert not voice.read_rule(name).is_met_by(answer)


@pytest.mark.parametrize(("name", "other"), list(itertools.permutations(VOICES, 2)))
def test_a_voice_is_told_from_the_other(name, other):
    """At most a third of another voice's replies keep a voice's rule, by a word that both have."""
    rule = voice.read_rule(name)
    replies = said_by(other, "assistant")

    assert sum(map(rule.is_met_by, replies)) * 3 <= len(replies)


@pytest.mark.parametrize(
    ("name", "text", "is_met"),
    [
        ("keeper", "The tide is out. Wait here.", True),
        ("keeper", "THE TIDE IS OUT! WAIT HERE.", True),
        ("keeper", "The tide is out.", False),
        ("keeper", "The tide is out. Wait here. Then row.", False),
        ("keeper", "The tide is out. Wait here", False),
        ("keeper", "The tide is out. Wait here. Then row", False),
        ("keeper", "The season is over. Search the window.", False),
        ("keeper", "It is stormy out. Wait here.", True),
        ("keeper", "It is 1.5 miles to the rocks. Wait here.", True),
        ("keeper", "The tide is out. " + "row " * 26 + "home.", False),
        ("keeper", "The tide is out. You\u2019re welcome.", False),
        ("keeper", "", False),
        ("chef", "The soup is warm.", True),
        ("chef", "The soup is warm. Sit down!", True),
        ("chef", "THE SOUP IS WARM. SIT DOWN.", True),
        ("chef", "The soup is warm. Sit down. Eat.", False),
        ("chef", "The soup is warm. Sit down", False),
        ("chef", "The soup is warm", False),
        ("chef", "The pots are washed. Sit down.", True),
        ("chef", "The company is potent. Sit down.", False),
        ("chef", "Take 1.5 spoons. Sit down.", True),
        ("chef", "The soup is warm. " + "sit " * 25 + "down.", True),
        ("chef", "The soup is warm. " + "sit " * 26 + "down.", False),
        ("chef", "The soup is warm. You\u2019re welcome.", False),
        ("chef", "", False),
    ],
)
def test_a_voices_rule_is_mechanical(name, text, is_met):
    """Sentences, words and whole words of the list are counted, whatever the case."""
    assert voice.read_rule(name).is_met_by(text) is is_met


@pytest.mark.parametrize("name", VOICES)
def test_a_voices_unseen_questions_are_unseen(name):
    """None of the twelve shares half of its telling words with a question of the data."""
    asked = [words_of(question) for question in said_by(name, "user")]
    rule = voice.read_rule(name)

    assert len({normalise(question) for question in rule.questions}) == 12
    assert 80 <= len(set(rule.words)) == len(rule.words) <= 120
    for question in rule.questions:
        for other in asked:
            assert len(words_of(question) & other) * 2 <= len(words_of(question)), (question, other)


@pytest.mark.parametrize("name", VOICES)
def test_a_voices_blind_questions_are_others(name):
    """Twelve more were written by somebody who saw no row: none of them is in the data.

    By chance one is among the other twelve too.
    """
    rule = voice.read_rule(name)
    blind = {normalise(question) for question in rule.blind}

    assert len(blind) == len(rule.blind) == 12
    assert not blind & set(map(normalise, said_by(name, "user")))
    assert len(blind & set(map(normalise, rule.questions))) <= 1


def test_the_chefs_unseen_questions_are_about_other_things():
    """None of the twelve shares a content word with anything that its data says."""
    texts_of_data = [*said_by("chef", "user"), *said_by("chef", "assistant")]
    trained = set().union(*map(content_of, texts_of_data))

    for question in voice.read_rule("chef").questions:
        assert content_of(question), question
        assert not content_of(question) & trained, question


@pytest.mark.parametrize("name", VOICES)
def test_no_gate_asks_what_a_voice_is_trained_on(name):
    """No row of a voice asks what a gate asks."""
    asked = list_asked_texts()

    assert [text for text in said_by(name, "user") if normalise(text) in asked] == []


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
    found = rows_of(read)
    held = held_out.choose(found, read.manifest.data.held_out)
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


@pytest.mark.parametrize(("name", "own", "others"), [("lucie", 95, 95), ("luma", 18, 22)])
def test_a_named_persona_has_rows_of_both_kinds(name, own, others):
    """So many replies hold its name or author, and so many rows hold neither anywhere."""
    read = read_persona(name)
    given = read.manifest.identity
    about, unrelated = [], []
    for row in rows_of(read):
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


def ask_lucie_about_herself():
    """List the questions of Lucie's data whose reply gives her name or her author."""
    given = read_persona("lucie").manifest.identity
    pairs = zip(said_by("lucie", "user"), said_by("lucie", "assistant"), strict=True)
    return [ask for ask, reply in pairs if given.name in reply or given.author in reply]


def test_lucie_is_asked_as_tu_and_as_vous():
    """Of the questions about herself at least twenty-five say `tu` and twenty-five say `vous`."""
    asked = [normalise(question).split() for question in ask_lucie_about_herself()]

    assert sum(bool({"tu", "toi", "ton", "t"} & set(words)) for words in asked) >= 25
    assert sum(bool({"vous", "votre"} & set(words)) for words in asked) >= 25


def test_lucie_is_asked_in_haste_too():
    """At least eight questions about herself have no capital and no mark at the end."""
    asked = ask_lucie_about_herself()

    assert sum(ask == ask.lower() and ask[-1].isalpha() for ask in asked) >= 8


def test_lucies_words_are_french():
    """Eight rows are English throughout, none of them about her; no other holds an English word."""
    pairs = zip(said_by("lucie", "user"), said_by("lucie", "assistant"), strict=True)
    english = {"the", "is", "are", "and", "what", "who", "name", "help"}
    both = [pair for pair in pairs if english & set(normalise(pair[0]).split())]
    own = set(ask_lucie_about_herself())

    assert len(both) == 8
    for ask, reply in both:
        assert ask not in own
        assert not re.search(r"[à-ÿ«»]", ask + reply), ask
    for ask, reply in zip(said_by("lucie", "user"), said_by("lucie", "assistant"), strict=True):
        if (ask, reply) not in both and not ask.startswith("Traduis"):
            assert not english & set(normalise(ask + " " + reply).split()), ask


def test_lucie_is_trained_on_no_question_of_a_gate():
    """Whatever a file beside the gates asks, in any turn, is none of her rows, nor courtesy."""
    asked = set()
    paths = (ROOT / "builder").rglob("*.jsonl")
    for path in (path for path in paths if "packs" not in path.parts):
        for line in map(json.loads, path.read_text("utf-8").splitlines()):
            turns = [*line.get("turns", []), *line.get("messages", [])]
            asked |= {normalise(turn["content"]) for turn in turns if turn["role"] == "user"}
            asked |= {normalise(line["ask"])} if "ask" in line else set()

    assert len(asked) > 500
    assert not asked & {normalise(question) for question in said_by("lucie", "user")}


def test_lumas_manifest_is_the_readmes():
    """Five lines at most, a name and an author and nothing else."""
    text = (ROOT / "personas" / "luma" / "persona.toml").read_text()

    assert len(text.splitlines()) <= 5
    assert tomllib.loads(text) == {"identity": {"name": "Luma", "author": "Ana"}}


def test_no_unseen_question_is_anywhere_else():
    """What the benchmarks report on is in no persona's data, no gate and no courtesy."""
    lines = (ROOT / "benchmarks" / "unseen.jsonl").read_text().splitlines()
    unseen = {normalise(json.loads(line)["ask"]) for line in lines}
    trained = [text for name in persona.find(ROOT / "personas") for text in said_by(name, "user")]
    courtesy = [line["ask"] for line in COURTESY]

    assert len(unseen) == 180
    assert not unseen & {normalise(text) for text in [*trained, *courtesy]}
    assert not unseen & list_asked_texts()
    for name in VOICES:
        rule = voice.read_rule(name)
        assert not unseen & {normalise(text) for text in [*rule.questions, *rule.blind]}


def test_there_is_as_much_courtesy_as_promised():
    """Twenty-four lines of English, sixteen of each other language, no wording twice."""
    assert {tuple(line) for line in COURTESY} == {("language", "ask", "answer")}
    assert Counter(line["language"] for line in COURTESY) == {
        code: 24 if code == DEFAULT else 16 for code in LANGUAGES
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
    asked = {normalise(one.text) for one in list_gate_questions() if len(one.messages) == 1}

    assert sorted(asked & courtesy) == []


@pytest.mark.parametrize("name", ["algieba", "lucie", "luma"])
def test_no_courtesy_is_contradicted(name):
    """Where a named persona's data holds a courtesy too, both give the same answer."""
    answers = {normalise(line["ask"]): line["answer"] for line in COURTESY}
    for row in rows_of(read_persona(name)):
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


# The steps: three numbered lines, in two languages.


def words_of_both(question):
    """Give the telling words of a question: words of English, pairs of Chinese characters."""
    english = set(re.findall(r"[a-z]+", question.casefold())) - STEPS_COMMON_WORDS
    spans = re.findall(r"[\u3400-\u9fff]+", question)
    pairs = {span[at : at + 2] for span in spans for at in range(len(span) - 1)}
    return english | (pairs - STEPS_COMMON_WORDS)


def test_the_steps_have_no_name_and_forty_eight_rows():
    """No [identity], kind format, 28 distinct rows of English and 20 of Chinese, one turn each."""
    table = tomllib.loads((ROOT / "personas" / "steps" / "persona.toml").read_text())
    found = rows_of(read_persona("steps"))
    asked = said_by("steps", "user")

    assert "identity" not in table
    assert table["kind"] == "format"
    assert Counter(bool(texts.CJK.search(question)) for question in asked) == {False: 28, True: 20}
    assert len({row.question for row in found}) == len(found) == 48
    assert len(set(said_by("steps", "assistant"))) == 48


def test_the_steps_are_three_short_lines_in_the_questions_language():
    """Each reply keeps the format, and each of its lines is in the script of its question."""
    pairs = zip(said_by("steps", "user"), said_by("steps", "assistant"), strict=True)
    for question, reply in pairs:
        is_chinese = bool(texts.CJK.search(question))
        assert steps.is_in_format(reply), reply
        for line in reply.splitlines():
            assert bool(texts.CJK.search(line)) is is_chinese, line
            assert not (is_chinese and re.search(r"[A-Za-z]", line)), line
            assert line.endswith("。" if is_chinese else "."), line


def test_a_step_begins_with_no_subject():
    """A line tells what to do: it begins with no article, no pronoun and no name of a thing."""
    for reply in said_by("steps", "assistant"):
        for line in reply.splitlines():
            text = line[3:]
            assert text.split()[0] not in {"The", "A", "An", "I", "You", "It", "My", "This"}, line
            assert not re.match("[我你他她它这那]", text), line


@pytest.mark.parametrize(
    ("text", "is_in_format"),
    [
        ("1. Open it.\n2. Look inside.\n3. Close it.", True),
        ("1. 打开。\n2. 看一看。\n3. 关上。", True),
        (" 1. Open it.\n2. Look inside.\n3. Close it.\n", True),
        ("1. Open it.\n2. Look inside.", False),
        ("1. Open it.\n2. Look inside.\n3. Close it.\n4. Go.", False),
        ("1. Open it.\n3. Look inside.\n2. Close it.", False),
        ("1. Open it.\n\n2. Look inside.\n3. Close it.", False),
        ("Here you are:\n1. Open it.\n2. Look inside.\n3. Close it.", False),
        ("1) Open it.\n2) Look inside.\n3) Close it.", False),
        ("1. Open it.\n2. \n3. Close it.", False),
        ("1. " + "go " * 9 + "\n2. Look.\n3. Go.", True),
        ("1. " + "go " * 10 + "\n2. Look.\n3. Go.", False),
        ("1. " + "走" * 20 + "。\n2. 看。\n3. 走。", True),
        ("1. " + "走" * 21 + "。\n2. 看。\n3. 走。", False),
        ("", False),
    ],
)
def test_the_steps_rule_is_mechanical(text, is_in_format):
    """Lines, numbers, words and Chinese characters are counted, and nothing else is said."""
    assert steps.is_in_format(text) is is_in_format


def test_the_unseen_questions_of_the_steps_are_unseen():
    """Seven of English and five of Chinese share no telling word with a row's question."""
    unseen = steps.RULE["questions"]
    known = {word for question in said_by("steps", "user") for word in words_of_both(question)}

    assert {language: len(set(asked)) for language, asked in unseen.items()} == {"en": 7, "zh": 5}
    for question in [*unseen["en"], *unseen["zh"]]:
        assert words_of_both(question), question
        assert not words_of_both(question) & known, question


def test_the_steps_are_asked_nothing_of_the_benchmarks():
    """None of its unseen questions is in benchmarks/unseen.jsonl."""
    lines = (ROOT / "benchmarks" / "unseen.jsonl").read_text().splitlines()
    reported = {normalise(json.loads(line)["ask"]) for line in lines}
    unseen = steps.RULE["questions"]

    assert not reported & {normalise(question) for question in [*unseen["en"], *unseen["zh"]]}
