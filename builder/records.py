"""Data files read into records: jsonl, json, csv and parquet, and where in the file each record stands."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from builder import files
from builder.errors import DataError

MAX_LINE_LENGTH = 1 << 20
Record = tuple[str, Any]


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
        case ".csv":
            yield from _csv(path)
        case ".parquet":
            yield from _parquet(path)
        case suffix:
            msg = f"{path}: is a {suffix or 'file without ending'}, expected .jsonl, .json, .csv or .parquet"
            raise DataError(msg)


def _jsonl(path: Path) -> Iterator[Record]:
    problems, found = [], []
    for number, line in enumerate(_text(path).split("\n"), start=1):
        where = f"{path}:{number}"
        if len(line) > MAX_LINE_LENGTH:
            problems.append(f"{where}: the line has {len(line):,} characters, expected at most {MAX_LINE_LENGTH:,}")
        elif line.strip():
            try:
                found.append((where, json.loads(line)))
            except json.JSONDecodeError as error:
                problems.append(f"{where}: column {error.colno}: {error.msg.lower()}, expected one JSON object a line")
    if problems:
        raise DataError(*problems)
    yield from found


def _json(path: Path) -> Iterator[Record]:
    text = _text(path)
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"{path}:{error.lineno}: column {error.colno}: {error.msg.lower()}, expected JSON") from None
    if not isinstance(values, list):
        raise DataError(f"{path}:1: holds {type(values).__name__}, expected a list of rows")
    for number, value in enumerate(values, start=1):
        yield f"{path}: row {number}", value


def _csv(path: Path) -> Iterator[Record]:
    # The standard library's reader: every field stays text ("4", "None"), and each row's line is known.
    reader = csv.reader(io.StringIO(_text(path), newline=""), strict=True)
    problems, found, began = [], [], 1
    header: list[str] = []
    try:
        for fields in reader:
            where, began = f"{path}:{began}", reader.line_num + 1
            if not header:
                header = fields
            elif fields and len(fields) != len(header):
                problems.append(f"{where}: holds {len(fields)} fields, expected {len(header)} as in the header; a text with a comma stands in quotes")
            elif fields:
                found.append((where, dict(zip(header, fields, strict=True))))
    except csv.Error as error:
        problems.append(f"{path}:{began}: {error}, expected CSV")
    if problems:
        raise DataError(*problems)
    yield from found


def _parquet(path: Path) -> Iterator[Record]:
    import datasets  # noqa: PLC0415 — takes seconds

    datasets.disable_progress_bars()
    try:
        table = datasets.Dataset.from_parquet(str(path), keep_in_memory=True)
    except Exception as error:  # noqa: BLE001 — pyarrow raises dozens of kinds for a broken file
        raise DataError(f"{path}: cannot be read ({str(error.__cause__ or error).strip().splitlines()[0]}), expected a parquet table") from None
    for number, value in enumerate(table, start=1):
        yield f"{path}: row {number}", {key: item for key, item in value.items() if item is not None}


def _text(path: Path) -> str:
    try:
        return files.read_text(path)
    except ValueError as error:
        raise DataError(str(error)) from None
