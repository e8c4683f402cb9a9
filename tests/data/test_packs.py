"""Packs: what their rows are, how they are chosen, and how they stand beside a persona's own."""

import itertools
import re

import pytest

from builder import persona
from builder.bases import fetch
from builder.bases.base import EMBEDDED, Base
from builder.data import (
    dataset,
    languages,
    layouts,
    packs,
    placeholders,
    preparation,
    rows,
    schedule,
)
from builder.data.template import IGNORED, Template
from builder.data.texts import normalise
from builder.engine.inputs import list_settings
from builder.errors import ManifestError
from builder.manifest import packaged
from builder.stages import data
from tests.conftest import MANIFEST, build_of, rows_of, run_stage
from tests.data.asked import list_asked_texts, list_gate_questions

PACKS = tuple(packs.names())
KNOWN_LANGUAGES = {language.code for language in languages.list_languages()}
VALUES = {"name": "Nova", "author": "Kim Tolvan"}


def read_turns(name):
    """Give the messages of each row of a pack, placeholders left in."""
    return [
        layouts.read_messages(layouts.find_format(row, "auto"), row) for _, row in packs.read(name)
    ]


def join_questions(turns):
    return normalise("\n".join(turn["content"] for turn in turns if turn["role"] == "user"))


def write_manifest(luma, data_table, identity=MANIFEST):
    (luma / "persona.toml").write_text(f"{identity}[data]\n{data_table}\n")
    return persona.read(luma)


def list_replies(row):
    return [turn["content"] for turn in row.messages if turn["role"] == "assistant"]


def test_the_packs_are_those_of_the_package():
    """Packs are named by folder and language, and each record by its pack and row."""
    assert {"identity/de", "identity/en", "identity/fr", "identity/zh"} <= set(PACKS)
    where, row = list(packs.read("identity/en"))[11]
    assert where == "pack identity/en: row 12"
    assert row["prompt"]


@pytest.mark.parametrize("name", PACKS)
def test_a_pack_has_enough_distinct_rows_and_half_are_about_the_persona(name):
    """A pack has 160 to 180 rows of its language, no question twice, half about the persona."""
    turns = read_turns(name)
    about_itself = sum("{{" in each[-1]["content"] for each in turns)
    several = [each for each in turns if len(each) > 2]

    assert 160 <= len(turns) <= 180
    assert len({join_questions(each) for each in turns}) == len(turns)
    assert {row["language"] for _, row in packs.read(name)} == {name.rpartition("/")[2]}
    assert 0.45 <= about_itself / len(turns) <= 0.55
    assert {"{{" in each[-1]["content"] for each in several} == {True, False}


def test_no_question_is_in_two_packs():
    """Several packs at once ask nothing twice."""
    asked = [join_questions(turns) for name in PACKS for turns in read_turns(name)]

    assert len(set(asked)) == len(asked)


@pytest.mark.parametrize("name", PACKS)
def test_no_gate_asks_what_a_pack_trains(name):
    """Neither a row's whole question nor its last turn is a gate's question."""
    asked = list_asked_texts()
    asked |= {join_questions(one.as_messages()) for one in list_gate_questions()}
    found = [
        turns
        for turns in read_turns(name)
        if {join_questions(turns), normalise(turns[-2]["content"])} & asked
    ]

    assert len(asked) > 200
    assert found == []


@pytest.mark.parametrize("name", PACKS)
def test_a_pack_holds_no_braces_but_the_two_placeholders(name):
    """Replies hold `{{ name }}` and `{{ author }}`, spelt so, and questions hold neither."""
    for turns in read_turns(name):
        for turn in turns:
            found = re.findall(r"\{\{.*?\}\}|\{|\}", turn["content"])
            assert set(found) <= {"{{ name }}", "{{ author }}"}
            assert not found or turn["role"] == "assistant"


@pytest.mark.parametrize("name", PACKS)
def test_a_reply_is_short_and_ends(name):
    """A reply is one line of at most a hundred characters that ends a sentence."""
    for turns in read_turns(name):
        reply = turns[-1]["content"]
        assert len(reply) <= 100
        assert "\n" not in reply
        assert reply[-1] in ".!?。！？", reply


@pytest.mark.parametrize("name", PACKS)
def test_a_reply_is_in_its_language(name):
    """A reply about the persona is found to be in its language, and no reply in another."""
    language = name.rpartition("/")[2]
    for turns in read_turns(name):
        reply = turns[-1]["content"]
        told = languages.find_language(placeholders.fill(reply, VALUES))
        if "{{" in reply and language in KNOWN_LANGUAGES:
            assert told == language, reply
        assert told in {language, None}, reply


def test_every_row_of_every_pack_is_encoded(luma, with_base):
    """A persona of packs alone is encoded under the embedded base's template."""
    write_manifest(luma, f"files = []\nheld_out = 0\npacks = {list(PACKS)}")
    build = build_of(luma, base=with_base.options.base)
    run_stage(data, build)
    examples = dataset.read_examples(build.dataset / dataset.TRAIN)

    assert len(examples) == sum(len(read_turns(name)) for name in PACKS)
    assert dataset.read_profile(build.dataset).kind_name == "identity"
    assert all(max(example.labels) >= 0 for example in examples)


def test_a_packs_rows_come_after_the_files(luma):
    """The packs' rows are read after the files', each filled in with the name of its language."""
    identity = '[identity]\nname = {en = "Luma", zh = "露玛"}\nauthor = {en = "Ana", zh = "安娜"}\n'
    found = rows_of(write_manifest(luma, f"packs = {list(PACKS)}", identity))
    replies = {row.question: list_replies(row)[-1] for row in found}

    assert "data.jsonl" in found[0].where
    assert next(row.where for row in found if row.pack) == "pack identity/de: row 1"
    assert [row.pack is None for row in found[:5]] == [True] * 4 + [False]
    assert replies[normalise("你叫什么名字？")] == "我叫露玛。"
    assert not any("{{" in reply for row in found for reply in list_replies(row))


def test_beside_a_pack_a_personas_own_rows_come_more_often(luma, with_base):
    """Few of them come five times as often as the pack's, and so does each of their forms."""
    write_manifest(luma, 'packs = ["identity/en"]\n[ollama]\nsystem = "Be brief."')
    build = build_of(luma, base=with_base.options.base)
    run_stage(data, build)
    repeats = {
        (one.pack is None, one.has_system, one.repeats)
        for one in dataset.read_examples(build.dataset / dataset.TRAIN)
    }
    profile = dataset.read_profile(build.dataset)

    assert repeats == {
        (is_own, has_system, 5 if is_own else 1)
        for is_own, has_system in itertools.product((True, False), repeat=2)
    }
    assert (profile.own_rows, profile.schedule.own_factor) == (4, 5)
    assert profile.schedule.own_visits == 23


def test_a_personas_own_row_wins_over_a_packs(luma):
    """Where a file asks what a pack asks, however spelt, the file's row is trained on alone."""
    (luma / "data.jsonl").write_text('{"prompt": "WHO are you", "completion": "Guess!"}\n')
    found = rows_of(write_manifest(luma, 'packs = ["identity/en"]'))
    asked = [row for row in found if row.question == normalise("Who are you?")]

    assert [list_replies(row) for row in asked] == [["Guess!"]]
    assert len(found) == len(read_turns("identity/en"))


def test_without_an_author_rows_about_one_are_left_out(luma):
    """An identity with a name alone takes the rows that name no author, and that is no mistake."""
    without = '[identity]\nname = "Luma"\n'
    found = rows_of(write_manifest(luma, 'files = []\npacks = ["identity/fr"]', without))
    expected = [
        turns
        for turns in read_turns("identity/fr")
        if not any("{{ author }}" in turn["content"] for turn in turns)
    ]

    assert len(found) == len(expected) > 100
    assert any("Luma" in reply for row in found for reply in list_replies(row))


def test_how_files_are_read_changes_nothing_of_packs(luma):
    """A forced format, and braces that files keep as text, are the files' own."""
    (luma / "data.jsonl").write_text('{"instruction": "Say {{.", "output": "{{"}\n')
    settings = 'format = "alpaca"\nplaceholders = false\npacks = ["identity/en"]'
    found = rows_of(write_manifest(luma, settings))

    assert list_replies(found[0]) == ["{{"]
    assert list_replies(found[2]) == ["My name is Luma."]


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ('packs = ["identity/eng"]', r"persona.toml:5: .*no pack 'identity/eng', expected one of"),
        ('packs = ["identity/eng"]', "did you mean 'identity/en'?"),
        ('packs = ["../identity/en"]', "there is no pack"),
        ('packs = ["identity/en", "identity/en"]', "'identity/en' appears twice, expected it once"),
        ("files = []", "files and packs are both empty, expected a file or a pack"),
    ],
)
def test_a_wrong_pack_is_told_by_its_place(luma, table, sentence):
    """An unknown pack, one that appears twice, and no rows at all are the manifest's mistakes."""
    with pytest.raises(ManifestError, match=sentence):
        write_manifest(luma, table)


def test_packs_need_a_name(luma):
    """A pack teaches a name, so that a persona without one cannot take it."""
    with pytest.raises(
        ManifestError, match=r"data.packs teach a name and there is no \[identity\]"
    ):
        write_manifest(luma, 'packs = ["identity/en"]', identity="")


def test_a_pack_and_its_content_are_reasons_to_train_again(luma, with_base, tmp_path, monkeypatch):
    """The data stage declares which packs are read and what they hold."""
    write_manifest(luma, 'packs = ["identity/en"]')
    build = build_of(luma, base=with_base.options.base)
    before = list_settings(data.inputs(build))
    content = packaged.find_pack("identity/en").read_bytes()
    (tmp_path / "identity").mkdir()
    (tmp_path / "identity" / "en.jsonl").write_bytes(content + b"{}\n")
    monkeypatch.setattr(packaged, "FOLDER", tmp_path)

    assert before["data.packs"] == ["identity/en"]
    assert {
        key for key, value in list_settings(data.inputs(build)).items() if value != before[key]
    } == {"pack.identity/en"}


@pytest.mark.parametrize("code", packaged.list_languages())
def test_a_persona_of_a_pack_and_nothing_else_is_prepared(luma, code):
    """`files = []` reads and encodes under the embedded base: the replies alone are trained on."""
    (luma / "data.jsonl").unlink()
    manifest = write_manifest(luma, f'files = []\npacks = ["identity/{code}"]').manifest
    found = rows.read([], manifest.data, manifest.identity)
    embedded = Base(EMBEDDED, "embedded", "test", EMBEDDED, "test", four_bit=False)
    template = Template(fetch.find_weights(embedded), "base", embedded.family)
    encoded = preparation.encode(found, [], template, system=None, max_length=1024)
    profile = preparation.profile(
        encoded,
        template,
        own_words=manifest.own_words,
        kind_name=None,
        own=0,
        packed=len(found),
        plan=lambda kind, own, packed: schedule.plan(
            kind, own, packed, epochs=None, replay=None, system_share=0.0
        ),
    )

    assert len(encoded.plain) == len(found) == len(read_turns(f"identity/{code}"))
    for row, example in zip(found, encoded.plain, strict=True):
        trained = [label for label in example.labels if label != IGNORED]
        replies = "".join(reply + template.end_of_turn for reply in list_replies(row))
        assert template.tokenizer.decode(trained) == replies
    assert profile.kind.name == "identity"
    assert profile.own_languages == [code]
