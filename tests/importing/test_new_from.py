"""`persona new --from`: what it writes, and what it tells."""

import json

import pytest

from builder import cli, persona
from builder.views import draft
from tests.conftest import run_persona
from tests.importing.test_sources import ANSWERED, ASKED, PAIR, write_jsonl


def test_an_import_is_written_and_told(project):
    """Rows, languages, lengths, what was left out and what looks private, by data.jsonl's lines."""
    mail = [
        ASKED,
        {**ANSWERED, "content": "Ask the boss: ana@mail.example, or {{ bob }} at b@mail.example."},
    ]
    german = [
        {"role": "user", "content": "Wer zahlt?"},
        {"role": "assistant", "content": "Ich zahle nicht, " + "und das ist gut. " * 500},
    ]
    source = write_jsonl(
        project / "chats.jsonl",
        *({"messages": rows, "mood": "good"} for rows in (PAIR, PAIR, mail, german)),
    )
    done = run_persona("new", "nova", "--from", str(source), cwd=project)
    data = project / "personas" / "nova" / "data.jsonl"

    assert (done.returncode, done.stdout) == (0, "personas/nova\n"), done.stderr
    written = [json.loads(line)["messages"] for line in data.read_text("utf-8").splitlines()]
    assert [len(rows) for rows in written] == [2, 2, 2]
    assert written[:2] == [PAIR, mail]
    told = [" ".join(line.split()) for line in done.stderr.splitlines()]
    assert told[:5] == [
        f"read {source}: 4 of a list of turns",
        "rows 3 in personas/nova/data.jsonl",
        "left out 1 duplicate",
        "columns or keys: 'mood'",
        "languages 2 English, 1 German",
    ]
    assert told[5].startswith("lengths 28 to 8,5")
    assert "1 may be too long, the longest of about 2,1" in done.stderr
    assert "private 2 × mail address: personas/nova/data.jsonl:2" in told
    assert "it stays: a model repeats what it was trained on, so delete it, or" in done.stderr
    assert "it has no name of its own: with --name, rows that" in done.stderr
    read = persona.read(data.parent)
    assert read.manifest.identity is None
    assert read.manifest.data.placeholders is False


def test_an_import_may_have_a_name(project, capsys):
    """With --name the packs stand beside the imported rows; an author alone is a mistake."""
    source = write_jsonl(project / "chats.jsonl", {"messages": PAIR})

    assert cli.main(["new", "nova", "--from", str(source), "--author", "Ana"]) == cli.USAGE
    assert "need --name beside --from" in capsys.readouterr().err
    assert not (project / "personas" / "nova").exists()
    assert cli.main(["new", "nova", "--from", str(source), "--name", "Nova"]) == cli.DONE
    manifest = persona.read(project / "personas" / "nova").manifest
    assert (manifest.own_words, manifest.data.packs) == (["Nova"], ("identity/en",))


@pytest.mark.parametrize(
    ("replies", "packs"),
    [
        (["Das weiß ich nicht, und das ist gut."] * 3, ("identity/de",)),
        (
            ["Das weiß ich nicht, und das ist gut.", "I do not know what this is, but you do."],
            ("identity/de", "identity/en"),
        ),
        (["No lo sé todavía."], ("identity/en",)),
    ],
)
def test_a_name_is_taught_in_the_languages_of_the_rows(project, replies, packs):
    """Where --language is not typed; English stands in for a language without a pack."""
    rows = [
        {"messages": [{**ASKED, "content": f"{at}?"}, {**ANSWERED, "content": reply}]}
        for at, reply in enumerate(replies)
    ]
    source = write_jsonl(project / "chats.jsonl", *rows)

    assert cli.main(["new", "nova", "--from", str(source), "--name", "Nova"]) == cli.DONE
    assert persona.read(project / "personas" / "nova").manifest.data.packs == packs


@pytest.mark.parametrize("blank", ["", "  "])
def test_a_blank_source_is_refused(project, capsys, blank):
    """A variable of the shell that is not set does not take over the folder one stands in."""
    (project / "chats.jsonl").write_text('{"prompt": "a", "completion": "b"}\n')

    assert cli.main(["new", "nova", "--from", blank]) == 2
    assert "'--from': is blank, expected a file, a folder or hf:" in capsys.readouterr().err
    assert list((project / "personas").iterdir()) == []


def test_a_mistake_in_the_source_leaves_no_folder(project, capsys):
    """What cannot be read is told by file and line before anything is written."""
    source = write_jsonl(project / "chats.jsonl", {"messages": []}, {"foo": 1})

    assert cli.main(["new", "nova", "--from", str(source)]) == cli.MENDABLE
    assert f"error: {source}:2: has the keys foo" in capsys.readouterr().err
    assert list((project / "personas").iterdir()) == []


def test_an_identity_with_own_rows_is_taught_its_name_by_packs(project, capsys):
    """No number of rows is asked of a person for what the packs teach."""
    source = write_jsonl(project / "chats.jsonl", {"messages": PAIR})

    assert cli.main(["new", "nova", "--kind", "identity", "--from", str(source)]) == cli.DONE
    told = capsys.readouterr().err
    assert "its name is taught by rows that come with the project" in told
    assert f"{draft.GOOD_ROWS} rows" not in told
    assert persona.read(project / "personas" / "nova").manifest.data.packs == ("identity/en",)
