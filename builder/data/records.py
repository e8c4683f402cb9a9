"""Data files read into records: jsonl, json, csv and parquet, and where in the file each record stands."""

from __future__ import annotations

import collections
import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder import files
from builder.errors import DataError

MAX_LINE_LENGTH = 1 << 20
MAX_NUMBER_DIGITS = 4300  # sys.int_info.default_max_str_digits: Python reads no longer one
SURROGATE = re.compile(r"[\ud800-\udfff]")
# Spreadsheets write semicolons where the comma is the decimal point.
DELIMITERS = {",": "a comma", ";": "a semicolon", "\t": "a tab"}
Record = tuple[str, Any]


@dataclass(frozen=True)
class Refused:
    """What stands in JSON that this project refuses, and the sentence that says so."""

    reason: str


def read(path: Path) -> Iterator[Record]:
    """Read a data file's records, each with the place where it stands.

    Raises:
        DataError: The file is not what its ending says; all of its mistakes at once.

    """
    if not path.is_file():
        msg = f"{path}: no such file, expected the persona's data"
        raise DataError(msg)
    match path.suffix:
        case ".jsonl":
            yield from _jsonl(path)
        case ".json":
            yield from _json(path)
        case ".csv" | ".tsv":
            yield from _csv(path)
        case ".parquet":
            yield from _parquet(path)
        case suffix:
            msg = f"{path}: is a {suffix or 'file without ending'}, expected .jsonl, .json, .csv, .tsv or .parquet"
            raise DataError(msg)


def _jsonl(path: Path) -> Iterator[Record]:
    problems, found = [], []
    for number, line in enumerate(_text(path).split("\n"), start=1):
        where = f"{path}:{number}"
        if len(line) > MAX_LINE_LENGTH:
            problems.append(
                f"{where}: the line has {len(line):,} characters, expected at most {MAX_LINE_LENGTH:,}"
            )
        elif line.strip():
            try:
                value = _parse(line)
            except json.JSONDecodeError as error:
                problems.append(
                    f"{where}: column {error.colno}: {error.msg.lower()}, expected one JSON object a line"
                )
            else:
                mistake = _find_mistake(value)
                found.append((where, value))
                problems += [f"{where}: {mistake}"] if mistake else []
    if problems:
        raise DataError(*problems)
    yield from found


def _json(path: Path) -> Iterator[Record]:
    text = _text(path)
    try:
        values = _parse(text)
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path}:{error.lineno}: column {error.colno}: {error.msg.lower()}, expected JSON"
        ) from None
    if not isinstance(values, list):
        reason = _find_mistake(values) or f"holds {type(values).__name__}, expected a list of rows"
        raise DataError(f"{path}:1: {reason}")
    found = [(f"{path}: row {number}", value) for number, value in enumerate(values, start=1)]
    mistakes = [(where, _find_mistake(value)) for where, value in found]
    if problems := [f"{where}: {mistake}" for where, mistake in mistakes if mistake]:
        raise DataError(*problems)
    yield from found


def _parse(text: str) -> Any:
    """Parse JSON, with a Refused in place of what is not to be read, so that its row is known.

    Raises:
        json.JSONDecodeError: It is no JSON.

    """
    try:
        return json.loads(text, object_pairs_hook=_object, parse_int=_number)
    except RecursionError:
        return Refused("is nested too deeply, expected lists and objects of a few levels")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any] | Refused:
    made = dict(pairs)
    if len(made) == len(pairs):
        return made
    ((key, _),) = collections.Counter(key for key, _ in pairs).most_common(1)
    return Refused(f"the key {key!r} stands twice in an object, expected it once")


def _number(digits: str) -> int | Refused:
    if len(digits) <= MAX_NUMBER_DIGITS:
        return int(digits)
    return Refused(f"holds a number of {len(digits):,} digits, expected text")


def _find_mistake(value: Any) -> str | None:
    """Find what a parsed record may not hold, at whatever depth."""
    left = [value]
    while left:
        item = left.pop()
        if isinstance(item, Refused):
            return item.reason
        if isinstance(item, dict):
            left += [*item, *item.values()]
        elif isinstance(item, list):
            left += item
        elif isinstance(item, str) and (lone := SURROGATE.search(item)):
            return f"holds half a surrogate pair (\\u{ord(lone[0]):x}), expected whole characters"
    return None


def _csv(path: Path) -> Iterator[Record]:
    # The standard library's reader: every field stays text ("4", "None"), and each row's line is known.
    text = _text(path)
    problems, found, began = [], [], 1
    header: list[str] = []
    try:
        delimiter = _find_delimiter(text)
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        for fields in reader:
            where, began = f"{path}:{began}", reader.line_num + 1
            if not header:
                header = fields
                problems += _find_repeated(where, header)
            elif fields and len(fields) != len(header):
                problems.append(
                    f"{where}: holds {len(fields)} fields, expected {len(header)} as in the header; a text with {DELIMITERS[delimiter]} stands in quotes"
                )
            elif fields:
                found.append((where, dict(zip(header, fields, strict=True))))
    except csv.Error as error:
        problems.append(f"{path}:{began}: {error}, expected CSV")
    if problems:
        raise DataError(*problems)
    yield from found


def _find_delimiter(text: str) -> str:
    """Find what stands between a table's fields: whatever makes most columns of its header."""

    def count_columns(delimiter: str) -> int:
        return len(next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), []))

    return max(DELIMITERS, key=count_columns)


def _find_repeated(where: str, header: list[str]) -> list[str]:
    repeated = [column for number, column in enumerate(header) if column in header[:number]]
    return [f"{where}: the column {column!r} stands twice, expected once" for column in repeated]


def _parquet(path: Path) -> Iterator[Record]:
    import datasets  # noqa: PLC0415 — takes seconds

    datasets.disable_progress_bars()
    try:
        # Read whole at once: text that is not UTF-8 is found when its row is.
        table = list(datasets.Dataset.from_parquet(str(path), keep_in_memory=True))
    except Exception as error:  # noqa: BLE001 — pyarrow raises dozens of kinds for a broken file
        raise DataError(
            f"{path}: cannot be read ({str(error.__cause__ or error).strip().splitlines()[0]}), expected a parquet table"
        ) from None
    for number, value in enumerate(table, start=1):
        yield (
            f"{path}: row {number}",
            {key: item for key, item in value.items() if item is not None},
        )


def _text(path: Path) -> str:
    try:
        return files.read_text(path)
    except ValueError as error:
        raise DataError(str(error)) from None
