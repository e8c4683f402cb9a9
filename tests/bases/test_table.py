"""The table of bases that a person reads."""

import json
import re
from dataclasses import asdict, replace

from builder import cli
from builder.bases import families, table
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


def test_eighty_columns_have_a_line_a_base(project):
    """An ordinary terminal shows a table, each of whose cells is a word or two."""
    with opened("bases", cwd=project, columns=80) as terminal:
        assert terminal.end() == 0
        head, *lines = terminal.lines[: 1 + len(table.rows())]

    assert re.split("  +", head) == ["base", "GPU memory", "tools", "thinking", "verified"]
    cells = [re.split("  +", line) for line in lines]
    assert [cell[0] for cell in cells] == [row.repository for row in table.rows()]
    assert {cell[3] for cell in cells} == {"off", "never"}
    assert {cell[4] for cell in cells} == {"built", "compared", "rendered", "reading"}


def test_bases_are_printed(capsys):
    """`persona bases` prints a line for each base, and `--json` an object with every field."""
    assert cli.main(["bases"]) == cli.DONE
    printed = capsys.readouterr().out.splitlines()
    assert cli.main(["bases", "--json"]) == cli.DONE
    listed = json.loads(capsys.readouterr().out)

    assert listed == [asdict(row) for row in table.rows()]
    assert printed[0].split()[:2] == ["base", "GPU"]
    assert [line.split()[0] for line in printed[1:]] == [row.repository for row in table.rows()]
    (qwen,) = [line for line in printed if line.startswith("Qwen/Qwen3-4B ")]
    assert qwen.split()[-3:] == ["yes", "off", "compared"]
