"""The table of bases that a person reads."""

import json
import re
from dataclasses import asdict, replace

import pytest

from builder import cli
from builder.bases import base, families, table
from builder.views import bases as view
from tests.pseudoterminal import opened


def test_every_repository_has_a_row():
    """Each row is what a command prints of a base, and what its family advises to train on."""
    rows = table.rows()
    by_repository = {row.repository: row for row in rows}

    assert len(by_repository) == len(rows)
    assert {row.family for row in rows} == {family.name for family in families.FAMILIES}
    assert by_repository["Qwen/Qwen3.5-4B"].train_source == "Qwen/Qwen3.5-4B"
    assert by_repository["Qwen/Qwen3-4B"].train_source.endswith("bnb-4bit")
    assert by_repository["Qwen/Qwen3-0.6B"].train_source == "Qwen/Qwen3-0.6B"
    assert by_repository["Qwen/Qwen3-4B"].memory_bytes < by_repository["Qwen/Qwen3-4B"].size_bytes


def test_what_is_refused_names_a_way_out():
    """Each kind that is refused comes with what to do or to take instead."""
    assert all(name and instead for name, instead in table.refused())
    assert len(table.refused()) >= 14


def test_a_long_name_breaks_no_line(capsys, monkeypatch):
    """However long a cell is, a base is a line where it is not read on a terminal."""
    long = [replace(row, repository="acme/" + "long-" * 40) for row in table.rows()]
    monkeypatch.setattr(table, "rows", lambda: long)
    assert cli.main(["bases"]) == cli.DONE

    assert len(capsys.readouterr().out.splitlines()) == 1 + len(long)


@pytest.mark.parametrize(
    ("columns", "heads"),
    [
        (80, ["base", "GPU memory", "licence", "tools"]),
        (130, ["base", "weights", "GPU memory", "licence", "tools", "thinking", "verified"]),
        (200, list(view.COLUMNS)),
    ],
)
def test_a_terminal_has_a_line_a_base(project, columns, heads):
    """There is a table on an ordinary terminal too, and what each licence asks for below it."""
    with opened("bases", cwd=project, columns=columns) as terminal:
        assert terminal.end() == 0
        head, *lines = terminal.lines

    assert re.split("  +", head) == heads
    bases = [row.repository for row in table.rows()]
    assert [line.split()[0] for line in lines[: len(bases)]] == bases
    assert any(line.startswith("Llama 3.2: the name begins with") for line in lines)


def test_bases_are_printed(capsys):
    """`persona bases` prints a line for each base, and `--json` an object with every field."""
    assert cli.main(["bases"]) == cli.DONE
    printed = capsys.readouterr().out.splitlines()
    assert cli.main(["bases", "--json"]) == cli.DONE
    listed = json.loads(capsys.readouterr().out)

    assert listed == [asdict(row) for row in table.rows()]
    assert re.split("  +", printed[0]) == list(view.COLUMNS)
    assert [line.split()[0] for line in printed[1:]] == [row.repository for row in table.rows()]
    (qwen,) = [line for line in printed if line.startswith("Qwen/Qwen3-4B ")]
    assert re.split("  +", qwen)[-4:] == ["Apache-2.0", "yes", "off", "random weights"]
    built = [line for line in printed if line.endswith("  built")]
    assert [line.split()[0] for line in built] == [base.EMBEDDED_REPOSITORY]


def test_a_family_that_was_not_verified_is_told(monkeypatch, capsys):
    """Its record may come before its measurements."""
    checked = table.read_checked()
    monkeypatch.setattr(view, "read_checked", lambda: checked.keys() - {"qwen3"})
    assert cli.main(["bases"]) == cli.DONE
    printed = capsys.readouterr().out.splitlines()

    (qwen,) = [line for line in printed if line.startswith("Qwen/Qwen3-4B ")]
    assert qwen.endswith("  not yet")
