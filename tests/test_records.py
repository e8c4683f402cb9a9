"""What a data file's records are, and where they stand."""

import pytest

from builder import records
from builder.errors import DataError


def read(path, content):
    path.write_bytes(content.encode())
    return list(records.read(path))


@pytest.mark.parametrize("answers", [("4", "6"), ("None", "NA"), ("True", "0.50"), ("a, b", 'say "c"')])
def test_a_csvs_fields_are_text(tmp_path, answers):
    """An answer that looks like a number, or like nothing, stays the text that stands in the file."""
    quoted = ['"' + answer.replace('"', '""') + '"' if set(answer) & set(',"') else answer for answer in answers]

    read_records = read(tmp_path / "d.csv", "prompt,completion\n" + "".join(f"Hi,{answer}\n" for answer in quoted))

    assert tuple(value["completion"] for _, value in read_records) == answers


def test_a_csvs_record_stands_on_the_line_where_it_begins(tmp_path):
    """Blank lines and texts of several lines are counted."""
    read_records = read(tmp_path / "d.csv", 'prompt,completion\n\nHi,"two\nlines"\r\nHo,one\n')

    assert [where.removeprefix(str(tmp_path)) for where, _ in read_records] == ["/d.csv:3", "/d.csv:5"]


def test_every_uneven_record_of_a_csv_is_told(tmp_path):
    """A comma outside quotes does not move a text into the next column: each such record is an error with its line."""
    with pytest.raises(DataError) as caught:
        read(tmp_path / "d.csv", "prompt,completion\nHi,I am Luma, a friend.\nHo,one\nHa\n")

    assert [problem.removeprefix(str(tmp_path))[:26] for problem in caught.value.problems] == ["/d.csv:2: holds 3 fields, ", "/d.csv:4: holds 1 fields, "]


@pytest.mark.parametrize(("content", "message"), [('a,b\n1,"2\n', "/d.csv:2: unexpected end of data"), ('a,b\n1,2\n"3"4,5\n', "/d.csv:3: ',' expected")])
def test_a_broken_quote_in_a_csv_has_its_line(tmp_path, content, message):
    """A quote that is never closed, or closed too early, is told where its record begins."""
    with pytest.raises(DataError) as caught:
        read(tmp_path / "d.csv", content)

    assert message in str(caught.value)


def test_a_parquets_records_are_counted(tmp_path):
    """A parquet has no lines: its records are numbered from 1, and what is null in one is left out."""
    import datasets

    datasets.Dataset.from_list([{"prompt": "Hi", "system": None}, {"prompt": "Ho", "system": "x"}]).to_parquet(str(tmp_path / "d.parquet"))

    assert list(records.read(tmp_path / "d.parquet")) == [
        (f"{tmp_path}/d.parquet: row 1", {"prompt": "Hi"}),
        (f"{tmp_path}/d.parquet: row 2", {"prompt": "Ho", "system": "x"}),
    ]


def test_what_is_no_parquet_is_refused(tmp_path):
    """A file of another kind under that name is one sentence."""
    with pytest.raises(DataError, match=r"cannot be read .*, expected a parquet table"):
        read(tmp_path / "d.parquet", "prompt,completion\n")
