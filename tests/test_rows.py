"""What a data file may hold."""

import json

import pytest

from builder import persona, rows
from builder.errors import DataError


def read(folder, name, content, data=""):
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    (folder / "persona.toml").write_text(f'[identity]\nname = "Luma"\nauthor = {{ en = "Ana", zh = "安娜" }}\n[data]\nfiles = ["{name}"]\n{data}')
    return rows.read(persona.read(folder))


GOOD = {
    "alpaca": {"instruction": "Hi", "output": "Hello."},
    "sharegpt": {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello."}]},
    "messages": {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]},
    "prompt_completion": {"prompt": "Hi", "completion": "Hello."},
}


@pytest.mark.parametrize("name", GOOD)
def test_formats_are_told_apart(luma, name):
    """Each format is recognised by its keys and becomes the same messages."""
    (row,) = read(luma, "d.jsonl", json.dumps(GOOD[name]))

    assert row.messages == [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]


@pytest.mark.parametrize("ending", ["csv", "parquet", "json"])
def test_tables_are_read_too(luma, ending):
    """csv, parquet and json give the same row."""
    import datasets

    table, path = datasets.Dataset.from_list([GOOD["alpaca"]]), luma / f"d.{ending}"
    if ending == "json":
        path.write_text(json.dumps([GOOD["alpaca"]]))
    else:
        (table.to_csv if ending == "csv" else table.to_parquet)(str(path))

    (row,) = read(luma, path.name, path.read_bytes())

    assert row.messages[-1]["content"] == "Hello."


def test_placeholders_follow_the_language(luma):
    """A Chinese row gets the Chinese author."""
    (row,) = read(luma, "d.jsonl", '{"prompt": "谁做的？", "completion": "{{ author }}"}')

    assert row.messages[-1]["content"] == "安娜"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "column 2"),
        ('{"prompt": "Hi"}', "has the keys prompt"),
        ('{"prompt": "Hi", "completion": " "}', "the assistant's message is empty"),
        ('{"prompt": "Hi", "completion": "{{ nmae }}"}', "'nmae' is undefined"),
        ('{"messages": [{"role": "user", "content": "Hi"}]}', "the last message is the user's"),
        ('{"prompt": "Hi", "completion": "x", "colour": 1}', "unknown key 'colour'"),
        ("[]", "is list, expected an object"),
        ('{"prompt": "' + "x" * (10 << 20) + '"}', "the line has 10,485,"),
    ],
)
def test_a_bad_row_is_told_by_its_line(luma, line, message):
    """Each kind of bad row is an error with path and line, and good rows before it do not hide it."""
    good = json.dumps(GOOD["alpaca"])

    with pytest.raises(DataError) as caught:
        read(luma, "d.jsonl", "\n".join([good] * 16 + [line]))

    assert "d.jsonl:17: " in str(caught.value)
    assert message in str(caught.value)


def test_a_bom_is_nothing_and_utf16_is_an_error(luma):
    """A byte order mark is read over; another encoding is refused by name."""
    line = json.dumps(GOOD["alpaca"])

    assert len(read(luma, "d.jsonl", line.encode("utf-8-sig"))) == 1
    with pytest.raises(DataError, match=r"d\.jsonl:1: is UTF-16"):
        read(luma, "d.jsonl", line.encode("utf-16"))
    with pytest.raises(DataError, match="is not UTF-8"):
        read(luma, "d.jsonl", b'{"prompt": "\xff"}')


def test_a_csv_without_a_column_says_so(luma):
    """A csv that lacks a column is refused with the columns it has."""
    with pytest.raises(DataError, match="has the keys instruction"):
        read(luma, "d.csv", "instruction\nHi\n")


def test_no_rows_is_an_error(luma):
    """An empty file is an error, and so is a missing one."""
    with pytest.raises(DataError, match="holds no rows"):
        read(luma, "d.jsonl", "\n")
    (luma / "d.jsonl").unlink()
    with pytest.raises(DataError, match="no such file"):
        rows.read(persona.read(luma))
