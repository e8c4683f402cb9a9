"""Reads TOML with the line of every key, which tomllib does not give."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder import files

# More than anybody writes; tomllib's time and memory grow with the square of a key's parts.
MOST_BYTES = 16 << 20
MOST_PARTS = 32
MOST_DIGITS = 4300  # sys.int_info.default_max_str_digits: the longest number that Python reads
Location = tuple[str | int, ...]

KEY = r"""(?:"(?:\\.|[^"\\\n])*"|'[^'\n]*'|[A-Za-z0-9_-]+)"""
KEYS = rf"{KEY}(?:[ \t]*\.[ \t]*{KEY})*"
# Searched in text whose strings are blanked.
LONG_KEY = re.compile(rf"(?<![\w.-])(?:[\w-]+[ \t]*\.[ \t]*){{{MOST_PARTS},}}")
BARE = re.compile(r"[A-Za-z0-9_-]+")
HEADER = re.compile(rf"[ \t]*(\[\[?)[ \t]*({KEYS})[ \t]*\]")
ENTRY = re.compile(rf"[ \t]*()({KEYS})[ \t]*=")
# Strings and comments, in which brackets and line ends do not count, and brackets and line ends.
TOKEN = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*"{3,5}'
    r"|'''(?:[^']|'(?!''))*'{3,5}"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'"
    r"|\#[^\n]*"
    r"|[\[\]{}\n]",
    re.DOTALL,
)


@dataclass(frozen=True)
class Document:
    """A TOML file: its table, and the line of each key and table."""

    path: Path
    table: dict[str, Any]
    lines: dict[Location, int]

    def where(self, location: Location) -> str:
        """Write a place as `path:line: key`, with the line of the key or else of its table."""
        line = self.find_line(location)
        place = f"{self.path}:{line}" if line else str(self.path)
        return f"{place}: {write_key(location)}" if location else place

    def find_line(self, location: Location) -> int:
        """Find the line of a key, or else of its table; 0 of neither."""
        known = (location[:size] for size in range(len(location), 0, -1))
        return next((self.lines[part] for part in known if part in self.lines), 0)


def write_key(location: Location) -> str:
    """Write a key in TOML; the tables of a list are counted from 1."""
    return ".".join(
        str(part + 1)
        if isinstance(part, int)
        else part
        if BARE.fullmatch(part) and len(part) <= 60
        else json.dumps(part[:60] + ("…" if len(part) > 60 else ""), ensure_ascii=False)
        for part in location
    )


def read(path: Path) -> Document:
    """Read a file.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is not TOML in UTF-8; the message says where.

    """
    text = files.read_text(path, most_bytes=MOST_BYTES)
    bare = TOKEN.sub(_blank, text)
    if found := LONG_KEY.search(bare):
        line = bare.count("\n", 0, found.start()) + 1
        what = f"a key of {found[0].count('.') + 1:,} parts, expected at most {MOST_PARTS}"
        raise ValueError(f"{path}:{line}: {what}")
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"line (\d+)", str(error))
        line_ = found[1] if found else text.count("\n") + 1
        raise ValueError(f"{path}:{line_}: {error}, expected TOML") from None
    except RecursionError:
        what = "is nested too deeply, expected lists and tables of a few levels"
        raise ValueError(f"{path}: {what}") from None
    except ValueError:
        number = re.search(rf"\d(?:_?\d){{{MOST_DIGITS},}}", text)
        line_ = text.count("\n", 0, number.start()) + 1 if number else 1
        what = f"contains a number of more than {MOST_DIGITS:,} digits, expected fewer"
        raise ValueError(f"{path}:{line_}: {what}") from None
    return Document(path, table, _index(_find_statements(text)))


def _blank(token: re.Match[str]) -> str:
    """Put a letter in place of a string, and nothing in place of a comment; line ends stay."""
    text = token[0]
    if text[0] in "\"'":
        return "x" + "\n" * text.count("\n")
    return "" if text[0] == "#" else text


def _find_statements(text: str) -> Iterator[tuple[int, str, list[str]]]:
    """Find the line, the brackets (none for an entry) and the keys of each header and entry."""
    depth, line = 0, 1
    starts = [(1, 0)]
    for token in TOKEN.finditer(text):
        depth += (token[0] in "[{") - (token[0] in "]}")
        line += token[0].count("\n")
        if token[0] == "\n" and depth <= 0:
            starts.append((line, token.end()))
    for number, offset in starts:
        if found := HEADER.match(text, offset) or ENTRY.match(text, offset):
            yield number, found[1], re.findall(KEY, found[2])


def _index(statements: Iterable[tuple[int, str, list[str]]]) -> dict[Location, int]:
    """Give the line of every location; `[[a]]` begins the next table of the list a."""
    lines: dict[Location, int] = {}
    counts: dict[Location, int] = {}
    table: Location = ()
    for line, brackets, keys in statements:
        location: Location = () if brackets else table
        for number, key in enumerate(map(_unquote, keys), start=1):
            location = (*location, key)
            lines.setdefault(location, line)
            if brackets == "[[" and number == len(keys):
                counts[location] = counts.get(location, -1) + 1
            if brackets and location in counts:
                location = (*location, counts[location])
                lines.setdefault(location, line)
        table = location if brackets else table
    return lines


def _unquote(key: str) -> str:
    if key.startswith('"'):
        return str(tomllib.loads(f"key = {key}")["key"])
    return key.strip("'")
