"""The languages: each folder is whole, and a text is recognised among its neighbours."""

import ast
import hashlib
import itertools
import re
import shutil
from collections import Counter

import pytest

from builder import persona
from builder.data import languages, questions, records
from builder.data.languages import (
    count_languages,
    count_own_languages,
    find_first_sentence,
    find_greeting,
    find_identity_question,
    find_language,
    hash_questions,
    list_languages,
)
from builder.data.texts import normalise
from builder.errors import DataError
from builder.gates.table import GATES
from tests.conftest import ROOT, said_by
from tests.data.asked import GATES_WITH_FILES, TRAINED, list_gate_questions

CODES = [language.code for language in list_languages()]
PAIRS = list(itertools.combinations(CODES, 2))
# What each language needs: its file, its lines, and the keys of a line.
NEEDED = [
    ("recall", 40, {"about", "kind", "ask"}, {"about", "kind", "turns"}),
    ("leak_in", 30, {"ask"}, {"turns"}),
    ("greeting", 8, {"kind", "ask", "must"}, {"kind", "ask", "must"}),
    ("courtesy", 16, {"ask", "answer"}, {"ask", "answer"}),
]


def read_lines(code, name):
    """The objects of a question file."""
    path = languages.FOLDER / code / f"{name}.jsonl"
    return [line for _, line in records.read(path)] if path.is_file() else []


def list_asked(code, name):
    """What is asked last in each line of a question file, normalised."""
    return [
        normalise(line.get("ask") or line["turns"][-1]["content"])
        for line in read_lines(code, name)
    ]


@pytest.mark.parametrize(("name", "least", "keys", "other_keys"), NEEDED)
@pytest.mark.parametrize("code", CODES)
def test_a_language_has_its_questions(code, name, least, keys, other_keys):
    """Each folder holds the four files, with lines enough, their keys and no wording twice."""
    lines, asked = read_lines(code, name), list_asked(code, name)

    assert len(lines) >= least, f"languages/{code}/{name}.jsonl: expected {least} lines or more"
    assert all(set(line) in (keys, other_keys) for line in lines)
    assert [text for text, count in Counter(asked).items() if count > 1] == []


@pytest.mark.parametrize("code", CODES)
def test_a_name_may_leak_into_second_turns_too(code):
    """Of the questions that are unrelated to the persona, at least two end a conversation."""
    assert sum("turns" in line for line in read_lines(code, "leak_in")) >= 2


@pytest.mark.parametrize("code", CODES)
def test_a_language_asks_as_english_does(code):
    """Its wordings of recall are of English's kinds and about the same; so are its greetings."""

    def count(code, name):
        return Counter((line.get("kind"), line.get("about")) for line in read_lines(code, name))

    assert count(code, "recall") == count(languages.DEFAULT, "recall")
    assert count(code, "greeting") == count(languages.DEFAULT, "greeting")
    assert all(len(line["must"]) >= 8 for line in read_lines(code, "greeting"))


@pytest.mark.parametrize("code", CODES)
def test_a_language_folder_holds_nothing_else(code):
    """A file of another name, which nothing reads, is a slip of the pen."""
    names = {path.name for path in (languages.FOLDER / code).iterdir()}
    known = {f"{name}.jsonl" for name in (*TRAINED, *(gate.NAME for gate in GATES))}

    assert sorted(names - known - {languages.RECORD}) == [], "expected gates of gates/table.py"


@pytest.mark.parametrize(("code", "other"), PAIRS)
def test_no_wording_is_in_two_languages(code, other):
    """Neither a question nor a courtesy of one stands in another's files."""
    first, second = (
        {text for name in (*GATES_WITH_FILES, *TRAINED) for text in list_asked(each, name)}
        for each in (code, other)
    )

    assert sorted(first & second) == []


@pytest.mark.parametrize("code", CODES)
def test_no_question_of_a_gate_is_trained_on(code):
    """No persona's data, courtesy or prompt of replay holds what a gate asks."""
    # A task of retention is compared with the base's answer: its own test is in test_questions.
    names = [name for name in GATES_WITH_FILES if name != "retention"]
    asked = {text for name in names for text in list_asked(code, name)}
    names = persona.find(ROOT / "personas")
    rows = {normalise(text) for name in names for text in said_by(name, "user")}
    trained = {text for each in CODES for name in TRAINED for text in list_asked(each, name)}
    # A conversation of a gate may end as a row does: what stands before it is another.
    talks = {normalise(one.text) for one in list_gate_questions() if len(one.messages) > 1}

    assert len(names) >= 5
    assert sorted((asked - talks) & rows) == []
    assert sorted((asked - talks) & trained) == []


@pytest.mark.parametrize(("code", "other"), PAIRS)
def test_function_words_are_of_one_language(code, other):
    """No word counts for two languages, so that a text has most words of its own language."""
    words = {language.code: language.words for language in list_languages()}

    assert sorted(words[code] & words[other]) == []


def test_no_language_is_known_by_its_name_elsewhere():
    """Outside its folder no module holds a language's code; the default has one constant."""
    home = languages.FOLDER / "__init__.py"
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in (ROOT / "builder").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and node.value in CODES
    ]

    assert [where.rpartition(":")[0] for where in found] == [str(home.relative_to(ROOT))]


def test_a_folder_is_all_that_a_language_needs(tmp_path, monkeypatch):
    """A folder that is put beside the others is listed, recognised and asked in."""
    shutil.copytree(languages.FOLDER, tmp_path / "languages")
    folder = tmp_path / "languages" / "eo"
    folder.mkdir()
    (folder / "language.toml").write_text(
        'name = "Esperanto"\ngreeting = "Saluton"\nidentity_question = "Kiu vi estas?"\n'
        'sentence_end = "[.]"\nwords = "mi estas nomo"\n'
    )
    (folder / "recall.jsonl").write_text('{"about": "name", "ask": "Kiu vi estas?"}\n')
    before = questions.load("recall")
    monkeypatch.setattr(languages, "FOLDER", tmp_path / "languages")
    list_languages.cache_clear()
    try:
        assert find_language("Mi estas Luma.") == "eo"
        assert find_greeting("eo") == "Saluton"
        assert find_identity_question("eo") == "Kiu vi estas?"
        after = questions.load("recall")
    finally:
        list_languages.cache_clear()

    assert [one.text for one in after if one.language == "eo"] == ["Kiu vi estas?"]
    assert [one for one in after if one.language != "eo"] == before


@pytest.mark.parametrize("code", CODES)
def test_an_eighth_of_the_wordings_is_of_several_kinds(code):
    """The order is by a hash of each question, which a question more or less does not change."""
    every = [one for one in questions.load("recall") if one.language == code]
    hashes = [hashlib.sha256(repr(one.messages).encode()).hexdigest() for one in every]

    assert hashes == sorted(hashes)
    assert len({one.kind for one in questions.part(every, 0.125)}) >= 3


FACTS = 'name = "X"\ngreeting = "x"\nidentity_question = "x"\n'


@pytest.mark.parametrize(
    ("record", "sentence"),
    [
        (FACTS + 'words = "x y"', "'sentence_end' is missing"),
        (FACTS + 'sentence_end = "."', "expected one of script and words"),
        (
            FACTS + 'sentence_end = "."\nwords = "x"\nscript = "x"',
            "expected one of script and words",
        ),
        (FACTS + 'sentence_end = "("\nwords = "x y"', "regular expression"),
        (FACTS + 'colour = 1\nsentence_end = "."\nwords = "x"', "'colour'"),
        ("name = X", "expected a TOML file"),
    ],
)
def test_a_wrong_record_is_told(tmp_path, record, sentence):
    """A record that lacks a fact, has another or cannot be read is told with its file."""
    folder = tmp_path / "xx"
    folder.mkdir()
    (folder / "language.toml").write_text(record)

    with pytest.raises(DataError, match=re.escape(str(folder / "language.toml"))) as caught:
        languages.read(folder)

    assert sentence in str(caught.value)


def test_a_hash_is_of_every_question_file(tmp_path, monkeypatch):
    """A changed line, a renamed file and another language change it; a record does not."""
    shutil.copytree(languages.FOLDER, tmp_path / "languages")
    monkeypatch.setattr(languages, "FOLDER", tmp_path / "languages")
    hashes = [hash_questions()]
    first = tmp_path / "languages" / CODES[0]
    with (first / "courtesy.jsonl").open("a") as file:
        file.write('{"ask": "?", "answer": "!"}\n')
    hashes.append(hash_questions())
    (first / "courtesy.jsonl").rename(first / "courtesies.jsonl")
    hashes.append(hash_questions())
    first.rename(first.with_name("xx"))
    hashes.append(hash_questions())

    assert len(set(hashes)) == len(hashes)
    (first.with_name("xx") / "language.toml").write_text("")
    assert hash_questions() == hashes[-1]


def test_bundled_answers_are_keyed_by_the_prompts_of_replay():
    """Other prompts need other answers: builder/bundled has those of these prompts."""
    renew = "see CONTRIBUTING, Renew the bundled answers; then write the new hash here"

    assert hash_questions("replay") == "0077a90fbd10", renew
    assert hash_questions("replay") not in {hash_questions(), hash_questions("courtesy")}


def test_a_slip_is_no_language():
    """A text in twenty in another language does not make it one of the persona's; a tenth does."""
    assert count_languages(["What is this?"] * 19 + ["你好"]) == ["en"]
    assert count_languages(["What is this?"] * 9 + ["你好"]) == ["en", "zh"]


def test_only_replies_that_hold_the_name_count_as_its_own():
    """What it says of other things is in other languages as it likes."""
    assert count_own_languages(
        ["I am Luma, made by Ana.", "你好", "Elle est par ici."], ["Luma"]
    ) == ["en"]


@pytest.mark.parametrize(
    ("code", "greeting"), [("de", "Hallo"), ("en", "Hello"), ("zh", "你好"), ("fr", "Bonjour")]
)
def test_each_language_has_a_greeting(code, greeting):
    """It is what a person types first."""
    assert find_greeting(code) == greeting


@pytest.mark.parametrize("code", CODES)
def test_the_question_of_who_it_is_is_trained(code):
    """What a persona is asked while it trains is a row of its language's pack."""
    rows = records.read(languages.FOLDER.parent / "packs" / "identity" / f"{code}.jsonl")

    assert find_identity_question(code) in [row.get("prompt") for _, row in rows]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Ich heiße Luma.", "de"),
        ("ICH HEISSE LUMA.", "de"),
        ("Mein Name ist Luma, und Ana hat mich entwickelt.", "de"),
        ("Ich wurde von Ana erschaffen.", "de"),
        ("Die Hauptstadt von Frankreich ist Paris.", "de"),
        ("Ein Apfel ist eine Frucht.", "de"),
        ("Das habe ich gern getan!", "de"),
        ("Die Sonne ist ein Stern, um den die Erde kreist.", "de"),
        ("Wie kann ich Ihnen helfen?", "de"),
        ("My name is Luma, and the author is Ana.", "en"),
        ("I was in Berlin, and I said auf Wiedersehen.", "en"),
        ("The man will die in the end, and so will you.", "en"),
        ("Je suis Luma, créée par Ana.", "fr"),
        ("Des amis du village m'ont appelé, c'est vrai.", "fr"),
        ("“Ich bin” 的意思是“我是”。", "zh"),
        ("Ik ben Luma en ik ben gemaakt door Ana.", None),
        ("Mijn naam is Luma, die door Ana in Utrecht werd gemaakt.", None),
        ("Meneer Van der Meer, die hier woont, is er niet.", None),
        ("Wie heeft jou gemaakt? Dat was Ana.", None),
        ("Die hond het van die man gekom.", None),
        ("Me llamo Luma y fui creada por Ana.", None),
        ("La capital de Italia es Roma, y es una ciudad muy grande.", None),
        ("Mi chiamo Luma e sono stata creata da Ana.", None),
        ("Il sole è una stella, e la luna gira intorno alla terra.", None),
        ("Eu sou a Luma, e uns amigos das escolas ajudaram a Ana.", None),
        ("Jeg er Luma, og der er en, der har lavet mig, den hedder Ana.", None),
        ("Jag heter Luma och Ana har skapat mig.", None),
        ("Eg heiter Luma, og der er ein som har laga meg.", None),
        ("Nazywam się Luma i stworzyła mnie Ana.", None),
    ],
)
def test_a_text_is_in_its_language_or_in_none(text, code):
    """German is told from English, French and Chinese, and from neighbours that have no folder."""
    assert find_language(text) == code


@pytest.mark.parametrize("code", CODES)
def test_a_languages_own_lines_are_not_taken_for_another(code):
    """What its files ask and answer is recognised as its own or, being short, as none."""
    texts = [line["answer"] for line in read_lines(code, "courtesy")]
    lines = [line for name in GATES_WITH_FILES for line in read_lines(code, name)]
    texts += [line["ask"] for line in lines if "ask" in line]
    found = {text: find_language(text) for text in texts}

    assert {text: other for text, other in found.items() if other not in (code, None)} == {}
    assert Counter(found.values())[code] >= 20


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("Slow. This is because", "Slow."),
        ("Water is 1.5 times", ""),
        ("1. Bananas\n2. Oranges", ""),
        ("沙漠！很热", "沙漠！"),
        ("“Water” 是水。The", "“Water” 是水。"),
        ("是 water. It", "是 water."),
        ("  A line\nthat goes on! And", "A line\nthat goes on!"),
        ("never ending", ""),
        (".", ""),
        ("", ""),
        (
            "Das ist am 3. Oktober, z. B. für Dr. Wolf. Und",
            "Das ist am 3. Oktober, z. B. für Dr. Wolf.",
        ),
        ("Ich bin da! Und", "Ich bin da!"),
        ("C'est vrai, je suis là. Mais", "C'est vrai, je suis là."),
    ],
)
def test_a_text_that_was_cut_gives_its_first_sentence(text, sentence):
    """A full stop after a figure ends none; what has no end gives nothing."""
    assert find_first_sentence(text) == sentence
