"""`persona new`: the folder it writes, what it refuses, and what it asks."""

import json
import os
import shutil
import time
import tomllib

import pytest

from builder import cli, persona, scaffold
from builder.data import examples, languages, rows
from builder.data.kinds import KINDS
from builder.data.languages import names
from builder.errors import ManifestError
from builder.manifest import packaged
from builder.manifest.fields import is_visible
from tests.conftest import ROOT, run_persona
from tests.pseudoterminal import opened, typing

INVISIBLE = [
    "",
    "  ",
    "\u200b",
    "Lu\u200bma",
    "\ufeff",
    "\u2066Luma",
    "\x1b[1m",
    "\u3164",
    "\u0301",
    "Lu\u034fma",
    "Luma\u3164",
    "Luma\u200d",
]


def make_draft(project, **changes):
    values = {
        "folder": project / "personas" / "nova",
        "title": "Nova",
        "author": "Ana",
        "languages": ["en"],
        "rows": scaffold.example_rows(["en"]),
        **changes,
    }
    return scaffold.Draft(**values)


def read_all(read):
    return rows.read(read.data_files, read.manifest.data, read.manifest.identity)


def test_a_new_persona_is_short_and_can_be_read(project):
    """Flags alone make a folder that reads: name, author, packs, and two rows of its own."""
    flags = ("--name", "Nova", "--author", 'Ana "A" Ng', "--language", "zh", "--language", "en")
    done = run_persona("new", "nova", *flags, cwd=project)
    read = persona.read(project / "personas" / "nova")
    lines = (read.folder / "persona.toml").read_text("utf-8").splitlines()

    assert (done.returncode, done.stdout) == (0, "personas/nova\n"), done.stderr
    assert done.stderr.endswith("  just show nova\n  just build nova\n")
    assert len(lines) <= 10
    assert lines[0].startswith("#:schema ")
    assert read.manifest.own_words == ["Nova", 'Ana "A" Ng']
    assert read.manifest.data.packs == ("identity/zh", "identity/en")
    assert sorted(path.name for path in read.folder.iterdir()) == ["data.jsonl", "persona.toml"]
    assert len((read.folder / "data.jsonl").read_text("utf-8").splitlines()) == 2
    assert {"香蕉是黄色的。"} < {row.messages[-1]["content"] for row in read_all(read)}


def test_without_a_terminal_nothing_is_asked(project):
    """What is not given has its default: the folder's name, nobody, and English.

    The first persona makes personas/ too.
    """
    (project / "personas").rmdir()
    done = run_persona("new", "old-salt", cwd=project)
    read = persona.read(project / "personas" / "old-salt")

    assert done.returncode == 0, done.stderr
    assert "?" not in done.stderr
    assert read.manifest.own_words == ["Old Salt"]
    assert read.manifest.data.packs == ("identity/en",)


def test_the_schema_is_found_from_the_manifest(project):
    """The first line leads to the shipped schema, by a path where it lies in the project."""
    scaffold.create(make_draft(project))
    line = (project / "personas" / "nova" / "persona.toml").read_text("utf-8").splitlines()[0]
    inside = make_draft(project, folder=ROOT / "personas" / "nova")

    assert line == f"#:schema {(ROOT / 'builder' / 'manifest.schema.json').as_uri()}"
    assert scaffold.write_manifest(inside)[0] == "#:schema ../../builder/manifest.schema.json"


@pytest.mark.parametrize("code", packaged.list_languages())
def test_each_language_has_two_rows_to_begin_with(project, code):
    """The example rows are in their language, and ask nothing that its pack asks."""
    scaffold.create(make_draft(project, languages=[code], rows=scaffold.example_rows([code])))
    read = persona.read(project / "personas" / "nova")
    found = read_all(read)
    packed = packaged.find_pack(f"identity/{code}").read_text("utf-8").splitlines()

    assert len(found) == len(packed) + 2
    for row in found[-2:]:
        text = " ".join(message["content"] for message in row.messages)
        assert languages.find_language(text) in (code, None)


@pytest.mark.parametrize("text", INVISIBLE)
@pytest.mark.parametrize("flag", ["--name", "--author"])
def test_a_text_that_nobody_sees_is_refused(project, capsys, text, flag):
    """A blank, a control or a filler is named, and no folder is left."""
    assert cli.main(["new", "nova", flag, text]) == cli.MENDABLE
    assert capsys.readouterr().err.startswith(f"error: {flag}: ")
    assert list((project / "personas").iterdir()) == []


@pytest.mark.parametrize(
    "text", ["Ana", "露娜", "می\u200cخواهم", "👩\u200d🚀", "é", "O'Neil & Søn"]
)
def test_a_text_in_any_script_is_taken(text):
    """Letters of every script, with the joiners that some are written with, are a name."""
    assert scaffold.check_text("--name", f" {text} ") == text


def test_a_manifest_takes_no_text_that_nobody_sees(luma):
    """A name of fillers is as blank in persona.toml as one of blanks."""
    assert not is_visible("\u200b\u3164")
    (luma / "persona.toml").write_text('[identity]\nname = "\u3164"\n')

    with pytest.raises(ManifestError, match=r"persona.toml:2: identity.name: is blank"):
        persona.read(luma)


@pytest.mark.parametrize(
    ("typed", "proposal"),
    [
        ("Nova", "just new nova"),
        ("My Persona!", "just new my-persona"),
        ("../Über", "just new uber"),
        ("露娜", None),
    ],
)
def test_a_name_that_is_none_says_what_to_type(project, capsys, typed, proposal):
    """A name that no folder may have is refused, with one that may."""
    assert cli.main(["new", typed]) == cli.MENDABLE
    said = capsys.readouterr().err

    assert "is not a persona's name, expected up to 80 lower-case letters" in said
    assert said.endswith(f"hint: {proposal}\n") if proposal else "hint" not in said
    assert list((project / "personas").iterdir()) == []


@pytest.mark.parametrize("kind", ["folder", "file", "link"])
def test_what_is_there_is_not_touched(project, capsys, kind):
    """A folder, a file or a broken link of the name is refused, and stays."""
    path = project / "personas" / "nova"
    make = {
        "folder": path.mkdir,
        "file": lambda: path.write_text("mine"),
        "link": lambda: path.symlink_to("nowhere"),
    }
    make[kind]()
    before = os.lstat(path)

    assert cli.main(["new", "nova"]) == cli.MENDABLE
    assert "personas/nova: already exists" in capsys.readouterr().err
    assert os.lstat(path) == before


def test_no_half_folder_is_left(project, monkeypatch):
    """Where writing fails nothing is left, and the folder of somebody faster stays whole."""
    folder = project / "personas" / "nova"
    monkeypatch.setattr(scaffold, "write_manifest", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        scaffold.create(make_draft(project))
    assert list((project / "personas").iterdir()) == []
    monkeypatch.undo()

    folder.mkdir()
    (folder / "persona.toml").write_text("")
    with pytest.raises(ManifestError, match="personas/nova: already exists"):
        scaffold.create(make_draft(project))
    assert [path.name for path in folder.iterdir()] == ["persona.toml"]
    assert list((project / "personas").iterdir()) == [folder]


def test_an_unfinished_folder_is_no_persona(project):
    """What a kill leaves under its temporary name is not listed."""
    left = project / "personas" / ".nova.00.tmp"
    left.mkdir()
    (left / "persona.toml").write_text("")

    assert persona.find(project / "personas") == []


def test_braces_of_own_rows_are_text(project):
    """Rows that hold `{{` are read as they are, beside a pack whose placeholders are filled in."""
    said = [{"prompt": "Jinja?", "completion": "Write {{ user }}."}]
    scaffold.create(make_draft(project, rows=said))
    replies = {
        row.messages[-1]["content"] for row in read_all(persona.read(make_draft(project).folder))
    }

    assert {"Write {{ user }}.", "My name is Nova."} < replies


def test_a_persona_may_have_no_name(project):
    """Without a name there is no [identity] and no pack, and the manifest says how to give one."""
    scaffold.create(make_draft(project, title=None))
    text = (project / "personas" / "nova" / "persona.toml").read_text("utf-8")

    assert tomllib.loads(text) == {}
    assert '# [identity] with name = "..." gives it a name.' in text


def answer(project, *lines, options=()):
    """Run `persona new nova` in a terminal, and type lines."""
    with typing(*lines) as terminal:
        done = run_persona("new", "nova", *options, cwd=project, stdin=terminal, TERM="dumb")
    return done.returncode, done.stdout, done.stderr


def test_a_terminal_is_asked_four_things(project):
    """Kind, name, author and languages are asked on stderr, again where an answer cannot be."""
    code, out, said = answer(project, "x", "", "\u200b", "Nova Prime", "", "xx", "Français, en")
    read = persona.read(project / "personas" / "nova")

    assert (code, out) == (0, "personas/nova\n"), said
    assert said.count("What kind of persona is it? [identity]") == 2
    assert "'x' is none of them, expected one of identity, voice, format" in said
    assert said.count("What does it call itself? [Nova]") == 2
    assert "U+200B" in said
    assert "'xx' has no pack, expected some of de (German, Deutsch), en (English), fr" in said
    assert read.manifest.own_words == ["Nova Prime"]
    assert read.manifest.data.packs == ("identity/fr", "identity/en")


def test_without_a_name_the_folders_name_is_asked_for(project):
    """A name that cannot be a folder's is refused, and asked for again."""
    with opened("new", cwd=project) as terminal:
        for typed, question in [
            ("My Nova", "What is its folder in personas/ called"),
            ("nova", "Error: "),
            ("V", "What kind of persona is it? [identity]"),
        ]:
            terminal.wait_for(question)
            time.sleep(1)  # the question is shown a moment before its answer is read
            terminal.type(f"{typed}\r")
        assert terminal.end() == 0
    assert persona.read(project / "personas" / "nova").manifest.kind == "voice"


@pytest.mark.parametrize("key", ["\x03", "\x04"])
def test_a_question_that_is_not_answered_changes_nothing(project, key):
    """Ctrl-C and Ctrl-D end the questions, and the message has a line of its own."""
    with opened("new", "nova", cwd=project) as terminal:
        terminal.wait_for("What kind of persona is it? [identity]")
        time.sleep(1)  # the question is shown a moment before its answer is read
        terminal.type(key)
        assert terminal.end() == cli.INTERRUPTED
        assert terminal.text.splitlines()[-1] == (
            "error: a question was not answered; nothing was changed"
        )
    assert not (project / "personas" / "nova").exists()


def test_a_terminal_is_asked_no_more_than_it_must(project):
    """A voice has no name to ask for; with a name nobody asks what is made."""
    code, _, said = answer(project, "V")
    assert code == 0, said
    assert "call itself" not in said
    assert persona.read(project / "personas" / "nova").manifest.kind == "voice"

    shutil.rmtree(project / "personas" / "nova")
    code, _, said = answer(project, "", "fr", options=["--name", "Nova"])
    assert code == 0, said
    assert "What kind of persona is it?" not in said
    assert persona.read(project / "personas" / "nova").manifest.own_words == ["Nova"]


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        ("dish: soup, minutes: 10", "format"),
        ("1. Boil it.", "format"),
        ("Don't ye ask!", "voice"),
    ],
)
def test_imported_replies_that_begin_alike_propose_a_format(project, reply, kind):
    """A key or a number that nearly all begin with is a format, a word a manner of speaking."""
    source = project / "rows.jsonl"
    rows = ({"prompt": f"Dish {number}?", "completion": reply} for number in range(60))
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    code, _, said = answer(project, kind[0], options=["--from", str(source)])

    assert code == 0, said
    assert f"What kind of persona is it? [{kind}]" in said
    assert "fewest" not in said  # sixty rows are enough


def test_imported_rows_propose_what_they_are(project):
    """The question's default is what the rows show, and an identity has a name."""
    source = project / "rows.jsonl"
    source.write_text('{"prompt": "Hi", "completion": "{\\"reply\\": \\"Hello\\"}"}\n')
    code, _, said = answer(project, "", options=["--from", str(source)])
    assert code == 0, said
    assert "What kind of persona is it? [format]" in said
    assert persona.read(project / "personas" / "nova").manifest.kind == "format"

    shutil.rmtree(project / "personas" / "nova")
    code, _, said = answer(project, "identity", "", "", "", options=["--from", str(source)])
    assert code == 0, said
    assert persona.read(project / "personas" / "nova").manifest.own_words == ["Nova"]


def test_an_author_needs_a_name(project):
    """Who made it was typed, so that nothing is no answer to what it calls itself."""
    source = project / "rows.jsonl"
    source.write_text('{"prompt": "Hi", "completion": "Hello"}\n')
    code, _, said = answer(
        project, "", "Nova", "", options=["--from", str(source), "--author", "Bo"]
    )
    assert code == 0, said
    assert said.count("What does it call itself?") == 2
    manifest = persona.read(project / "personas" / "nova").manifest
    assert (manifest.identity.name, manifest.identity.author) == ("Nova", "Bo")


@pytest.mark.parametrize(("kind", "name"), examples.NAMES.items())
def test_a_kind_begins_as_a_copy_that_can_be_shown(project, kind, name):
    """A voice and a format have the rows and questions of one that was built, and say so."""
    done = run_persona("new", "nova", "--kind", kind, cwd=project)
    read, copied = (
        persona.read(project / "personas" / "nova"),
        persona.read(ROOT / "personas" / name),
    )

    assert (done.returncode, done.stdout) == (0, "personas/nova\n"), done.stderr
    assert read.manifest.model_dump() == {**copied.manifest.model_dump(), "kind": kind}
    assert [row.messages for row in read_all(read)] == [row.messages for row in read_all(copied)]
    assert f"a copy of {name}, {len(read_all(copied))} rows in {read.data_files[0]}" in (
        done.stderr.replace("in personas", f"in {project}/personas")
    )
    least = KINDS[kind].least_rows
    assert f"{least} rows are the fewest seen to pass; 40 or more are safer" in done.stderr
    shown = run_persona("show", "nova", cwd=project)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.count("\nrow ") + 1 >= len(read_all(copied))
    assert "persona.toml says" in shown.stderr


@pytest.mark.parametrize("kind", examples.NAMES)
def test_imported_rows_may_be_given_a_kind(project, capsys, kind):
    """With `--from` nothing is copied: the manifest names the kind, and the rows stay."""
    source = project / "rows.jsonl"
    source.write_text('{"prompt": "Hi", "completion": "Ahoy!"}\n')

    assert cli.main(["new", "nova", "--from", str(source), "--kind", kind]) == cli.DONE
    read = persona.read(project / "personas" / "nova")
    assert (read.manifest.kind, read.manifest.smoke.questions) == (kind, ())
    assert [row.replies for row in read_all(read)] == [["Ahoy!"]]
    text = (read.folder / "persona.toml").read_text("utf-8")
    assert "Add [[smoke.questions]] (ask, must, must_not)" in text
    assert "[identity]" not in text
    assert "40 or more are safer" in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["--name", "--author", "--language"])
def test_only_an_identity_has_a_name(project, capsys, flag):
    """A voice with a name is refused in a sentence that says what to type, and leaves no folder."""
    assert cli.main(["new", "nova", "--kind", "voice", flag, "en"]) == cli.USAGE
    said = capsys.readouterr().err
    assert "need --kind identity; the rows of an identity may also have a voice" in said
    assert list((project / "personas").iterdir()) == []


def test_an_example_that_was_taken_away_is_missed(project, monkeypatch, capsys):
    """Without the persona that is copied nothing is written, and the hint says how to go on."""
    monkeypatch.setattr(examples, "FOLDERS", (project / "nowhere",))

    assert cli.main(["new", "nova", "--kind", "voice"]) == cli.MENDABLE
    said = capsys.readouterr().err
    assert "nowhere/keeper: no such folder, expected the persona that shows a voice" in said
    assert "hint: " in said
    assert list((project / "personas").iterdir()) == []


def test_every_kind_can_be_chosen():
    """`new` offers the kinds that there are, in their order."""
    assert list(scaffold.KINDS) == list(KINDS)


def test_an_unknown_language_is_named_at_once(project, capsys):
    """A language without a pack is a mistake in the typing, with those that there are."""
    assert cli.main(["new", "nova", "--language", "xx"]) == cli.USAGE
    said = capsys.readouterr().err
    assert "'xx' has no pack, expected some of de (German, Deutsch), en (English), fr" in said
    assert list((project / "personas").iterdir()) == []


@pytest.mark.parametrize(
    ("typed", "codes"),
    [
        (["de,en"], ["de", "en"]),
        (["de", "en", "de"], ["de", "en"]),
        (["German, french"], ["de", "fr"]),
        (["Deutsch", "FRANCAIS"], ["de", "fr"]),
        (["中文、English"], ["zh", "en"]),
        (["de-AT zh_Hans"], ["de", "zh"]),
        (["German and English"], ["de", "en"]),
        (["Deutsch, English UND French"], ["de", "en", "fr"]),
        (["français et en & de"], ["fr", "en", "de"]),
    ],
    ids=" ".join,
)
def test_languages_are_named_as_people_do(project, typed, codes):
    """Codes and names, in English and their own, in one flag or several, give each pack once."""
    flags = [word for one in typed for word in ("--language", one)]

    assert cli.main(["new", "nova", *flags]) == cli.DONE
    packs = persona.read(project / "personas" / "nova").manifest.data.packs
    assert packs == tuple(f"identity/{code}" for code in codes)


@pytest.mark.parametrize("typed", ["", " , ", "de,xx", "xx-DE", "dee", "and", "de and"])
def test_a_list_with_an_unknown_language_is_refused_whole(project, capsys, typed):
    """One language that has no pack, or none at all, leaves no folder, and all are listed."""
    assert cli.main(["new", "nova", "--language", typed]) == cli.USAGE
    assert "expected some of de (German, Deutsch)" in capsys.readouterr().err
    assert list((project / "personas").iterdir()) == []


def test_each_language_is_called_as_its_speakers_do():
    """Every language that a persona can be taught in has a name of its own, found by itself."""
    codes = packaged.list_languages()
    for language in languages.list_languages():
        if language.code in codes:
            for name in (language.name, *language.own_names):
                assert names.read(name, codes) == [language.code]
            assert language.own_names


def test_the_examples_are_of_the_languages():
    """Each example of each language is a question and an answer, as the record says."""
    for language in languages.list_languages():
        assert json.dumps(scaffold.example_rows([language.code]))
        assert len(language.examples) == 2
