"""What a data file's records are, and where they stand."""

import json

import pytest

from builder.data import records
from builder.errors import DataError


def read(path, content):
    path.write_bytes(content.encode())
    return records.read(path)


@pytest.mark.parametrize(
    "answers", [("4", "6"), ("None", "NA"), ("True", "0.50"), ("a, b", 'say "c"')]
)
def test_a_csvs_fields_are_text(tmp_path, answers):
    """An answer that looks like a number, or like nothing, stays the text of the file."""
    quoted = [
        '"' + answer.replace('"', '""') + '"' if set(answer) & set(',"') else answer
        for answer in answers
    ]

    read_records = read(
        tmp_path / "d.csv", "prompt,completion\n" + "".join(f"Hi,{answer}\n" for answer in quoted)
    )

    assert tuple(value["completion"] for _, value in read_records) == answers


def test_a_first_line_may_name_the_delimiter(tmp_path):
    """Excel writes `sep=;` above the header, and reads it."""
    ((where, value),) = read(tmp_path / "d.csv", "sep=;\r\nprompt;completion\r\nHi;a, b, c\r\n")

    assert value == {"prompt": "Hi", "completion": "a, b, c"}
    assert where.endswith("d.csv:3")


def test_a_csvs_record_stands_on_the_line_where_it_begins(tmp_path):
    """Blank lines and texts of several lines are counted."""
    read_records = read(tmp_path / "d.csv", 'prompt,completion\n\nHi,"two\nlines"\r\nHo,one\n')

    assert [where.removeprefix(str(tmp_path)) for where, _ in read_records] == [
        "/d.csv:3",
        "/d.csv:5",
    ]


def test_every_uneven_record_of_a_csv_is_told(tmp_path):
    """A comma outside quotes moves no text into the next column: it is an error by its line."""
    with pytest.raises(DataError) as caught:
        read(tmp_path / "d.csv", "prompt,completion\nHi,I am Luma, a friend.\nHo,one\nHa\n")

    assert [problem.removeprefix(str(tmp_path))[:24] for problem in caught.value.problems] == [
        "/d.csv:2: has 3 fields, ",
        "/d.csv:4: has 1 fields, ",
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('a,b\n1,"2\n', "/d.csv:2: unexpected end of data"),
        ('a,b\n1,2\n"3"4,5\n', "/d.csv:3: ',' expected"),
    ],
)
def test_a_broken_quote_in_a_csv_has_its_line(tmp_path, content, message):
    """A quote that is never closed, or closed too early, is told where its record begins."""
    with pytest.raises(DataError) as caught:
        read(tmp_path / "d.csv", content)

    assert message in str(caught.value)


def test_a_parquets_records_are_counted(tmp_path):
    """A parquet has no lines: its records count from 1, and what is null in one is left out."""
    import pyarrow as pa
    from pyarrow import parquet

    table = [{"prompt": "Hi", "system": None}, {"prompt": "Ho", "system": "x"}]
    parquet.write_table(pa.Table.from_pylist(table), tmp_path / "d.parquet")

    assert list(records.read(tmp_path / "d.parquet")) == [
        (f"{tmp_path}/d.parquet: row 1", {"prompt": "Hi"}),
        (f"{tmp_path}/d.parquet: row 2", {"prompt": "Ho", "system": "x"}),
    ]


def test_what_is_no_parquet_is_refused(tmp_path):
    """A file of another kind under that name is one sentence."""
    with pytest.raises(DataError, match=r"cannot be read .*, expected a parquet or Arrow table"):
        read(tmp_path / "d.parquet", "prompt,completion\n")


def mistakes_of(path, content):
    with pytest.raises(DataError) as caught:
        read(path, content)
    return [problem.removeprefix(str(path)) for problem in caught.value.problems]


# What JSON may hold and no row can, with the sentence that says so.
REFUSED = [
    ('{"a": "x", "b": 1, "a": "y"}', "the key 'a' appears twice in an object, expected it once"),
    ('{"m": [{"b": {"c": 1, "c": 1}}]}', "the key 'c' appears twice in an object"),
    ('{"a": ' + "9" * 5000 + "}", "contains a number of 5,000 digits, expected text"),
    ('{"a": [{"b": -' + "9" * 5000 + "}]}", "contains a number of 5,001 digits, expected text"),
    ("[" * 100_000 + "]" * 100_000, "is nested too deeply, expected lists and objects of a few"),
    ('{"a": ' * 50_000 + "1" + "}" * 50_000, "is nested too deeply"),
    (r'{"a": "cut \ud83d here"}', r"contains half a surrogate pair (\ud83d), expected whole"),
    (r'{"a": ["\uDE00\uD83D"]}', r"contains half a surrogate pair (\ude00), expected whole"),
    (r'{"\ud800": "x"}', r"contains half a surrogate pair (\ud800), expected whole"),
]


@pytest.mark.parametrize(("value", "message"), REFUSED)
def test_json_that_no_row_can_hold_has_its_line(tmp_path, value, message):
    """A repeated key, an endless number, deep nesting, half a character: sentences, all at once."""
    good = '{"prompt": "\\ud83d\\ude00", "completion": "x", "id": ' + "9" * 4300 + "}"

    first, second = mistakes_of(tmp_path / "d.jsonl", f"{good}\n{value}\n{good}\n{{")

    assert first.startswith(f":2: {message}")
    assert second.startswith(":4: column 2: ")


@pytest.mark.parametrize(("value", "message"), REFUSED)
def test_a_json_files_mistake_has_its_row(tmp_path, value, message):
    """In a list of rows it is told by the row; nesting, which stops the reading, by the file."""
    row = {"prompt": "Hi", "completion": "x"}

    mistakes = mistakes_of(tmp_path / "d.json", f"[{json.dumps(row)}, {value}, {{}}, {value}]")

    if "nested" in message:
        assert [mistake.partition(message)[0] for mistake in mistakes] == [":1: "]
    else:
        assert [mistake.partition(message)[0] for mistake in mistakes] == [": row 2: ", ": row 4: "]


def test_a_json_file_is_a_list(tmp_path):
    """An object in place of the list of rows is refused."""
    (mistake,) = mistakes_of(tmp_path / "d.json", '{"a": 1}')

    assert mistake == ":1: contains an object, expected a list of rows"


def test_a_csvs_columns_have_names_of_their_own(tmp_path):
    """A column that appears twice would hide the one before it."""
    mistakes = mistakes_of(tmp_path / "d.csv", "prompt,completion,prompt\nHi,Hello.,Ho\nx\n")

    assert mistakes[0] == ":1: the column 'prompt' appears twice, expected once"
    assert mistakes[1].startswith(":3: has 1 fields")


def test_a_parquets_text_is_utf8(tmp_path):
    """Bytes that are no UTF-8 in a column of text are one sentence."""
    import pyarrow as pa
    from pyarrow import parquet

    column = pa.array([b"Hi", b"\xed\xa0\x80"], pa.binary()).view(pa.string())
    parquet.write_table(pa.table({"prompt": column}), tmp_path / "d.parquet")

    with pytest.raises(
        DataError, match=r"cannot be read \('utf-8' .*, expected a parquet or Arrow table"
    ):
        list(records.read(tmp_path / "d.parquet"))
