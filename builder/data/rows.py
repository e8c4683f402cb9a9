"""Reads rows: conversations from records, with placeholders filled in and mistakes by line."""

from __future__ import annotations

import functools
import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from builder.data import layouts, packs, records
from builder.data.languages import DEFAULT, find_language
from builder.data.placeholders import AUTHOR, fill, fill_all
from builder.data.template import Message
from builder.data.texts import normalise
from builder.data.tools import Tool, read_tools
from builder.data.values import describe_kind
from builder.errors import DataError
from builder.escapes import quote
from builder.manifest.identity import LANGUAGE_PATTERN, Identity
from builder.manifest.manifest import Data
from builder.persona import Persona
from builder.tables import tell_alike, tell_first

# The endings of tables, whose rows all have the same columns.
TABLES = (".csv", ".tsv", ".parquet")
log = logging.getLogger("builder")


@dataclass(frozen=True)
class Row:
    """A conversation and its place."""

    where: str
    messages: list[Message]
    pack: str | None = None
    """Its pack; None for a row of the persona's own files."""
    tools: list[Tool] = field(default_factory=list)
    """The functions that it declares."""

    @property
    def replies(self) -> list[str]:
        """The assistant's replies; a call without words is left out."""
        said = [one["content"] for one in self.messages if one["role"] == "assistant"]
        return [text for text in said if text]

    @property
    def question(self) -> str:
        """The user's messages, normalised."""
        return normalise(
            "\n".join(message["content"] for message in self.messages if message["role"] == "user")
        )


def read(paths: Sequence[Path], data: Data, identity: Identity | None) -> list[Row]:
    """Read all rows of a persona's data files and packs.

    Raises:
        DataError: A file or a row is wrong; the error has all mistakes.

    """
    rows, problems = collect(paths, data, identity)
    if problems:
        raise DataError(*problems)
    return rows


def find_problems(persona: Persona) -> list[str]:
    """List the mistakes of a persona's rows."""
    manifest = persona.manifest
    _, problems = collect(persona.data_files, manifest.data, manifest.identity)
    return problems


def collect(
    paths: Sequence[Path], data: Data, identity: Identity | None
) -> tuple[list[Row], list[str]]:
    """Read the rows of a persona's files and packs, and list the mistakes of rows that are wrong.

    The rows of files come first; they replace rows of packs with the same question.

    Args:
        paths: The files.
        data: The [data] table of the manifest.
        identity: The values of the placeholders.

    """
    rows: list[Row] = []
    problems: list[str] = []
    for path in paths:
        read_rows, mistakes = _collect_file(path, data, identity)
        rows += read_rows
        problems += tell_first(mistakes, str)
    own = {row.question for row in rows}
    of_packs = _read_packs(data.packs, identity)
    return [*rows, *(row for row in of_packs if row.question not in own)], problems


def _read_packs(names: Sequence[str], identity: Identity | None) -> list[Row]:
    """Read the rows of packs, filled in; rows about the author only if there is one."""
    found = []
    for pack, (where, value) in ((name, one) for name in names for one in packs.read(name)):
        messages = layouts.read_messages(layouts.find_format(value, "auto"), value)
        values = identity.placeholders(value["language"]) if identity else {}
        if any(AUTHOR in message["content"] for message in messages) and "author" not in values:
            continue
        for message in messages:
            message["content"] = fill(message["content"], values)
        found.append(Row(where, messages, pack))
    return found


def _collect_file(
    path: Path, data: Data, identity: Identity | None
) -> tuple[list[Row], Sequence[str]]:
    try:
        headers = [needed for needed, _ in layouts.FORMATS.values()]
        found = _leave_columns_out(path, list(records.collect(path, headers)), data)
    except DataError as error:
        return [], error.problems
    if not found:
        return [], [f"{path}: has no rows, expected conversations"]
    rows, mistakes, left_out = [], [], set[str]()
    for where, value, mistake in found:
        if mistake:
            mistakes.append((where, mistake))
            continue
        try:
            rows.append(_read_row(where, value, data, identity, left_out))
        except ValueError as error:
            mistakes.append((where, str(error)))
    if left_out:
        _tell_left_out(path, ", ".join(map(quote, sorted(left_out)[: layouts.SHOWN_KEYS])))
    return rows, tell_alike(mistakes, len(found))


def _leave_columns_out(path: Path, found: list[records.Record], data: Data) -> list[records.Record]:
    """Leave out columns of a table that its format does not use.

    Raises:
        DataError: The header fits no format, which is reported once, not for each row.

    """
    right = [one for one in found if not one.mistake]
    if path.suffix.lower() not in TABLES or not right:
        return found
    columns = dict.fromkeys(column for one in right for column in one.value)
    try:
        needed, allowed = layouts.FORMATS[layouts.find_format(columns, data.format)]
    except ValueError as error:
        if path.suffix.lower() == ".parquet":  # empty columns are not among the keys
            return found
        raise DataError(f"{path}:1: the header {error}") from None
    kept = needed | allowed | layouts.ALWAYS_ALLOWED
    extra = [column for column in columns if column not in kept]
    if not extra:
        return found
    more = ", …" if extra[layouts.SHOWN_KEYS :] else ""
    _tell_columns(path, ", ".join(map(quote, extra[: layouts.SHOWN_KEYS])) + more)
    return [one if one.mistake else one._replace(value=_keep(one.value, kept)) for one in found]


def _keep(value: dict[str, Any], kept: Collection[str]) -> dict[str, Any]:
    return {column: item for column, item in value.items() if column in kept}


@functools.cache
def _tell_columns(path: Path, named: str) -> None:
    """Log once which columns are left out, as a build reads its rows several times."""
    log.warning("%s: columns that no format knows are left out: %s", path, named)


@functools.cache
def _tell_left_out(path: Path, named: str) -> None:
    """Log once which keys of tools are left out, as a build reads its rows several times."""
    what = "Ollama does not pass on these keys of a tool; they are not trained"
    log.warning("%s: %s: %s", path, what, named)


def _read_row(
    where: str, value: Any, data: Data, identity: Identity | None, left_out: set[str]
) -> Row:
    if not isinstance(value, dict):
        raise ValueError(f"is {describe_kind(value)}, expected an object")
    name = layouts.find_format(value, data.format)
    needed, allowed = layouts.FORMATS[name]
    unknown = set(value) - needed - allowed - layouts.ALWAYS_ALLOWED
    if unknown:
        known = ", ".join(sorted(needed | allowed | layouts.ALWAYS_ALLOWED))
        key = sorted(unknown)[0]
        what = f"unknown key {quote(key)} in a row of format {name}"
        raise ValueError(f"{what}, expected {known}{layouts.suggest_key(key)}")
    tools = read_tools(value.get("tools"), left_out)
    messages = layouts.read_messages(name, value, tools)
    layouts.check(messages)
    given = layouts.read_optional_text(value, "language")
    if data.placeholders:
        values = _find_values(identity, given, messages) if identity else {}
        messages, tools = fill_all(messages, values), fill_all(tools, values)
    return Row(where, messages, tools=tools)


def _find_values(identity: Identity, given: str, messages: list[Message]) -> dict[str, str]:
    """Find the name and author for a row.

    Raises:
        ValueError: They differ by language, and the row's `language` is not a code.

    """
    if given and identity.languages() and not LANGUAGE_PATTERN.fullmatch(given):
        msg = f"'language' is {quote(given)}, expected a code such as 'en' or 'zh'"
        raise ValueError(msg)
    return identity.placeholders(choose_language(given, messages))


def choose_language(given: str, messages: list[Message]) -> str:
    """Choose the language of the name and author in a row.

    It is the row's `language`, or else that of its text, or else English.
    """
    text = "\n".join(message["content"] for message in messages)
    return given or find_language(text) or DEFAULT
