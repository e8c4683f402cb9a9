"""Reads the records of data files (jsonl, json, csv and parquet), each with its place."""

from __future__ import annotations

import collections
import csv
import functools
import io
import json
import logging
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from builder import files
from builder.data.values import describe_kind, find_mistake, parse_json
from builder.errors import DataError
from builder.escapes import quote

# By the ending of a file that holds rows in a form that is not read.
ADVICE = {
    **dict.fromkeys((".xlsx", ".xls", ".ods"), "save it as CSV in UTF-8"),
    **dict.fromkeys((".zip", ".gz", ".7z"), "unpack it, and give the file inside"),
}
# The first line of a csv that names its delimiter, without the line's end.
DELIMITER_LINE = re.compile(r"sep=([,;\t])(?=\r?\n)", re.IGNORECASE)
MAX_LINE_LENGTH = 1 << 20
SHOWN_REASON = 200
# The possible delimiters of a csv.
NAMES = {",": "a comma", ";": "a semicolon", "\t": "a tab"}
log = logging.getLogger("builder")


class Record(NamedTuple):
    """A record of a file, or what is wrong with it."""

    where: str
    value: Any
    mistake: str | None = None


def read(path: Path) -> list[tuple[str, Any]]:
    """Read the values of a data file, each with its place.

    Raises:
        DataError: The file or a record of it is wrong; the error has all mistakes.

    """
    found = list(collect(path))
    if problems := [f"{one.where}: {one.mistake}" for one in found if one.mistake]:
        raise DataError(*problems)
    return [(one.where, one.value) for one in found]


def collect(path: Path, headers: Sequence[Collection[str]] = ()) -> Iterator[Record]:
    """Read the records of a data file, also those that are wrong.

    Args:
        path: The file.
        headers: The possible sets of columns, which help to recognise the delimiter of a csv.

    Raises:
        DataError: The file does not have the format of its ending.

    """
    try:
        files.check_file(path)
    except FileNotFoundError:
        msg = f"{path}: no such file, expected the persona's data"
        raise DataError(msg) from None
    except ValueError as error:
        raise DataError(str(error)) from None
    match path.suffix.lower():
        case ".jsonl":
            yield from _jsonl(path)
        case ".json":
            yield from _json(path)
        case ".csv" | ".tsv":
            yield from _csv(path, headers)
        case ".parquet":
            yield from _parquet(path)
        case suffix:
            what = f"is a {suffix}" if suffix else "has no ending"
            advice = f": {ADVICE[suffix]}" if suffix in ADVICE else ""
            msg = f"{path}: {what}, expected .jsonl, .json, .csv, .tsv or .parquet{advice}"
            raise DataError(msg)


def _jsonl(path: Path) -> Iterator[Record]:
    for number, line in enumerate(_text(path).split("\n"), start=1):
        where = f"{path}:{number}"
        if len(line) > MAX_LINE_LENGTH:
            what = f"the line has {len(line):,} characters, expected at most {MAX_LINE_LENGTH:,}"
            yield Record(where, None, what)
        elif line.strip():
            try:
                value = parse_json(line)
            except json.JSONDecodeError as error:
                what = f"column {error.colno}: {_tell(error)}, expected one JSON object a line"
                yield Record(where, None, what)
            else:
                yield Record(where, value, find_mistake(value))


def _json(path: Path) -> Iterator[Record]:
    text = _text(path)
    try:
        values = parse_json(text)
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path}:{error.lineno}: column {error.colno}: {_tell(error)}, expected JSON"
        ) from None
    if not isinstance(values, list):
        reason = (
            find_mistake(values) or f"contains {describe_kind(values)}, expected a list of rows"
        )
        raise DataError(f"{path}:1: {reason}")
    for number, value in enumerate(values, start=1):
        yield Record(f"{path}: row {number}", value, find_mistake(value))


def _tell(error: json.JSONDecodeError) -> str:
    """Give the words of an error; those about a control character end with "at"."""
    return error.msg.lower().removesuffix(" at")


def _csv(path: Path, headers: Sequence[Collection[str]]) -> Iterator[Record]:
    # With the standard library all fields stay text ("4", "None"), and the line of each row is
    # known.
    text = _text(path)
    if named := DELIMITER_LINE.match(text):  # Excel's; the line is kept, for the lines of rows
        text = text[named.end() :]
    delimiter = named[1] if named else _find_delimiter(path, text, headers)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=delimiter)
    header: list[str] = []
    began = 1
    try:
        for fields in reader:
            where, began = f"{path}:{began}", reader.line_num + 1
            if not header:
                header = [field.strip() for field in fields]
                if mistake := find_mistake(header):
                    raise DataError(f"{where}: {mistake}")
                yield from (Record(where, None, mistake) for mistake in _find_repeated(header))
            elif fields and len(fields) != len(header):
                quotes = f"put a text that contains {NAMES[delimiter]} in quotes"
                what = f"has {len(fields)} fields, expected {len(header)} as in the header"
                yield Record(where, None, f"{what}; {quotes}")
            elif fields:
                value = dict(zip(header, fields, strict=True))
                yield Record(where, value, find_mistake(value))
    except csv.Error as error:
        yield Record(f"{path}:{began}", None, f"{error}, expected CSV")


def _find_delimiter(path: Path, text: str, headers: Sequence[Collection[str]]) -> str:
    """Find the delimiter: some spreadsheets write semicolons or tabs.

    If no delimiter gives expected columns, it is the one that gives the most.
    """
    first = text.lstrip("\r\n").partition("\n")[0].rstrip("\r")
    for delimiter, name in NAMES.items():
        try:
            (fields,) = csv.reader([first], delimiter=delimiter)
        except (csv.Error, ValueError):
            continue
        columns = {field.strip() for field in fields}
        if any(columns.issuperset(header) for header in headers):
            if delimiter != ",":
                _tell_delimiter(path, name)
            return delimiter
    return max(NAMES, key=first.count)


@functools.cache
def _tell_delimiter(path: Path, name: str) -> None:
    """Log the delimiter once, as a build reads its rows several times."""
    log.info("%s: %s separates its fields", path, name)


def _find_repeated(header: list[str]) -> list[str]:
    counts = collections.Counter(column for column in header if column)
    repeated = [quote(column) for column, count in counts.items() if count > 1]
    return [f"the column {column} appears twice, expected once" for column in repeated]


def read_arrow(path: Path) -> Iterator[Record]:
    """Read a table that the `datasets` library saved to disk: a stream in Arrow's format.

    Raises:
        DataError: It is not one.

    """
    from pyarrow import ipc  # noqa: PLC0415 — takes half a second

    def load() -> Any:
        with path.open("rb") as file, ipc.open_stream(file) as stream:
            return stream.read_all()

    yield from _table(path, load)


def _parquet(path: Path) -> Iterator[Record]:
    from pyarrow import parquet  # noqa: PLC0415 — takes half a second

    def load() -> Any:
        with parquet.ParquetFile(path) as file:
            return file.read()

    yield from _table(path, load)


def _table(path: Path, load: Callable[[], Any]) -> Iterator[Record]:
    try:
        # Read as a whole; text that is not UTF-8 is found when its row is converted.
        table = load()
        repeated = _find_repeated(table.column_names)
        values = [] if repeated else table.to_pylist()
    except Exception as error:  # noqa: BLE001 — pyarrow raises dozens of kinds for a broken file
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        msg = f"{path}: cannot be read ({reason[:SHOWN_REASON]}), expected a parquet or Arrow table"
        raise DataError(msg) from None
    if repeated:
        raise DataError(*(f"{path}: {mistake}" for mistake in repeated))
    for number, value in enumerate(map(_drop_nulls, values), start=1):
        yield Record(f"{path}: row {number}", value, find_mistake(value))


def _drop_nulls(value: Any) -> Any:
    """Drop keys that are null: in a table every object has the keys of all objects."""
    if isinstance(value, dict):
        return {key: _drop_nulls(item) for key, item in value.items() if item is not None}
    return [_drop_nulls(item) for item in value] if isinstance(value, list) else value


def _text(path: Path) -> str:
    try:
        return files.read_text(path)
    except ValueError as error:
        raise DataError(str(error)) from None
