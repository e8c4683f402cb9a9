"""What `show` prints: rows with their places, and those that are held out."""

import json
import re

import pytest

from tests.conftest import run_persona
from tests.pseudoterminal import opened


@pytest.fixture
def root(luma):
    """A project whose persona has a pack, a csv with a text of two lines, and held-out rows."""
    manifest = luma / "persona.toml"
    manifest.write_text(
        manifest.read_text()
        + '[data]\nfiles = ["data.jsonl", "more.csv"]\npacks = ["identity/en"]\nheld_out = 0.2\n'
        + '[ollama]\nsystem = "Be brief."\n'
    )
    (luma / "more.csv").write_text(
        'prompt,completion\n"One,\ntwo?",Three.\nWhat is a gull?,A bird.\n'
    )
    return luma.parent.parent


def read(root, *arguments):
    done = run_persona("show", "luma", "--json", *arguments, cwd=root)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_each_row_tells_its_file_and_line(root):
    """A row of a file has its line, also after a text of two lines; one of a pack its number."""
    places = {
        next(turn["content"] for turn in row["messages"] if turn["role"] == "user"): row["where"]
        for row in read(root)
    }

    assert places["2+2?"] == "personas/luma/data.jsonl:4"
    assert places["One,\ntwo?"] == "personas/luma/more.csv:2"
    assert places["What is a gull?"] == "personas/luma/more.csv:4"
    assert sum(where.startswith("pack identity/en: row ") for where in places.values()) > 100
    assert "unknown" not in places.values()


def test_both_forms_of_a_row_have_one_place(root):
    """A row with the served system text before it, and without it, comes from the same line."""
    rows = [row for row in read(root) if row["where"] == "personas/luma/data.jsonl:4"]

    assert {row["has_system"] for row in rows if not row["is_held_out"]} in ({True, False}, set())


def test_held_out_rows_stand_apart(root):
    """They are listed at the end under their own head, counted by themselves, as never trained."""
    held = [row for row in read(root) if row["is_held_out"]]
    lines = run_persona("show", "luma", "--all", cwd=root).stdout.splitlines()
    at = lines.index(f"held out, never trained on: {len(held)} rows")

    assert [row["number"] for row in held] == list(range(1, len(held) + 1))
    assert all(row["trained_tokens"] == 0 for row in held)
    assert lines[at + 1] == f"held out 1: {held[0]['tokens']} tokens, {held[0]['where']}"
    assert not any(line.startswith("row ") for line in lines[at:])
    assert not any(line.startswith("held out 1: ") for line in lines[:at])


def list_heads(text):
    """List the lines that stand before rows."""
    starts = ("row ", "held out", "pack ")
    return [line for line in text.splitlines() if line.startswith(starts)]


def test_a_persons_own_rows_come_first_and_packs_are_counted(root):
    """Own rows are shown whole, held-out ones too; of a pack two, and how many there are."""
    heads = list_heads(run_persona("show", "luma", cwd=root).stdout)
    rows = read(root)
    own = [row for row in rows if row["pack"] is None]
    trained = [row["where"] for row in rows if row["pack"] and not row["is_held_out"]]
    held = [row for row in rows if row["pack"] and row["is_held_out"]]
    at = heads.index(
        f"pack identity/en: {len(set(trained))} rows trained on, {len(held)} held out; "
        "`just show luma --all` shows each"
    )

    assert [head.rpartition(", ")[2] for head in heads[:at]] == [
        row["where"] for row in own if not row["is_held_out"]
    ]
    assert [row["pack"] for row in rows if not row["is_held_out"]][:at] == [None] * at
    assert [head.rpartition(", ")[2] for head in heads[at + 1 : at + 3]] == [
        trained[0],
        trained[-1],
    ]
    left = [row for row in own if row["is_held_out"]]
    assert [head.rpartition(", ")[2] for head in heads[at + 4 :]] == [row["where"] for row in left]


def test_each_row_of_a_pack_is_shown_where_it_is_asked_for(root):
    """With --all every row has its head, and so has a row of a pack that is asked for by number."""
    rows = read(root)
    number = next(row["number"] for row in rows if row["where"] == "pack identity/en: row 177")

    heads = list_heads(run_persona("show", "luma", "--all", cwd=root).stdout)
    one = list_heads(run_persona("show", "luma", str(number), cwd=root).stdout)

    assert len([head for head in heads if not head.startswith("held out,")]) == len(rows)
    assert len(one) == 1
    assert one[0].endswith("pack identity/en: row 177")


def test_one_row_is_shown_with_its_place(root):
    """A number shows that row alone; one that there is not is told with how many there are."""
    rows = [row for row in read(root) if not row["is_held_out"]]
    one = run_persona("show", "luma", "2", cwd=root).stdout.splitlines()

    assert one[0].startswith("row 2: ")
    assert one[0].endswith(f", {rows[1]['where']}")
    assert read(root, "2") == [rows[1]]
    refused = run_persona("show", "luma", str(len(rows) + 1), cwd=root)
    assert refused.returncode == 1
    assert f"has no row {len(rows) + 1}, expected 1 to {len(rows)}" in refused.stderr


@pytest.mark.parametrize("environment", [{}, {"TERM": "dumb"}], ids=["xterm", "dumb"])
def test_twenty_columns_are_enough(luma, environment):
    """On a narrow terminal rows are shown whole; a dumb one gets no escapes."""
    with opened("show", "luma", "1", cwd=luma.parent.parent, columns=20, **environment) as terminal:
        assert terminal.end() == 0
        assert "personas/luma/data.jsonl:1" in terminal.text.replace("\r\n", "")
        assert "I am Luma, made by Ana.<|im_end|>" in terminal.text
        assert ("\x1b" in terminal.seen) != bool(environment)


def test_a_locale_without_utf_8_shows_rows(luma):
    """Where the encoding lacks a character it is an escape."""
    root = luma.parent.parent
    done = run_persona("show", "luma", "2", cwd=root, LC_ALL="C", PYTHONIOENCODING="ascii")

    assert done.returncode == 0, done.stderr
    assert "\\u6211\\u662fLuma" in done.stdout


def test_how_often_rows_come_is_told_for_packs_and_own_rows(root):
    """Own rows come more often than a pack's; half of both with the served system text."""
    said = run_persona("show", "luma", cwd=root).stderr

    assert re.search(
        r"; \d+ rows of packs, each trained on about (\d+) times, and \d+ of your own, each about "
        r"(?!\1 )\d+ times; 1 of 2 times with the served system text",
        said,
    )
