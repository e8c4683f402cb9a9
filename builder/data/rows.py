"""Conversations from records: formats, placeholders, and every mistake by file and line."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.data import packs, records
from builder.data.languages import DEFAULT, find_language
from builder.data.template import Message
from builder.data.texts import normalise
from builder.errors import DataError
from builder.manifest import Data, Identity
from builder.tables import show, tell_first

ROLES = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "system": "system",
}
# Of OpenAI's messages and of ShareGPT's: who calls a tool, and who answers for one.
CALLING_KEYS = ("tool_calls", "function_call")
CALLING_ROLES = ("function_call",)
TOOL_ROLES = ("tool", "function", "observation")
# Each format's keys: needed, then allowed beside them.
FORMATS: dict[str, tuple[set[str], set[str]]] = {
    "messages": ({"messages"}, set()),
    "sharegpt": ({"conversations"}, {"system"}),
    "prompt_completion": ({"prompt", "completion"}, {"system"}),
    "alpaca": ({"instruction", "output"}, {"input", "system"}),
}
ALWAYS_ALLOWED = {"language", "id"}
# Two braces, and what they enclose where they are closed.
BRACES = re.compile(r"\{\{(?:(.*?)\}\})?", re.DOTALL)
PLACEHOLDERS = ("name", "author")
AUTHOR = "{{ author }}"  # as packs write it
SHOWN_CHARACTERS = 40
SHOWN_KEYS = 10
# Files in which each row has the same columns.
TABLES = (".csv", ".parquet")
log = logging.getLogger("builder")
KINDS = {
    bool: "a boolean",
    int: "a number",
    float: "a number",
    list: "a list",
    dict: "an object",
    str: "text",
    bytes: "bytes",
    type(None): "null",
}


@dataclass(frozen=True)
class Row:
    """One conversation and the place it came from."""

    where: str
    messages: list[Message]

    @property
    def question(self) -> str:
        """What the user says, normalised."""
        return normalise(
            "\n".join(message["content"] for message in self.messages if message["role"] == "user")
        )


def read(paths: Sequence[Path], data: Data, identity: Identity | None) -> list[Row]:
    """Read every row of a persona's packs and data files.

    Raises:
        DataError: A file or a row is not as it must be; all mistakes at once.

    """
    rows, problems = collect(paths, data, identity)
    if problems:
        raise DataError(*problems)
    return rows


def collect(
    paths: Sequence[Path], data: Data, identity: Identity | None
) -> tuple[list[Row], list[str]]:
    """Read what can be read of a persona's packs and files, and name every mistake of the rest.

    A row of the files stands in for a pack's row with the same question.

    Args:
        paths: The files.
        data: The manifest's table, which says how a row is laid out.
        identity: Fills the placeholders in.

    """
    rows: list[Row] = []
    problems: list[str] = []
    for path in paths:
        read_rows, mistakes = _collect_file(path, data, identity)
        rows += read_rows
        problems += tell_first(mistakes, str)
    own = {row.question for row in rows}
    of_packs = _read_packs(data.packs, identity)
    return [*(row for row in of_packs if row.question not in own), *rows], problems


def _read_packs(names: Sequence[str], identity: Identity | None) -> list[Row]:
    """Read the rows of packs, filled in; those about an author only where there is one."""
    found = []
    for where, value in (record for name in names for record in packs.read(name)):
        messages = _messages(_format_of(value, "auto"), value)
        values = identity.placeholders(value["language"]) if identity else {}
        if any(AUTHOR in message["content"] for message in messages) and "author" not in values:
            continue
        for message in messages:
            message["content"] = fill(message["content"], values)
        found.append(Row(where, messages))
    return found


def _collect_file(
    path: Path, data: Data, identity: Identity | None
) -> tuple[list[Row], Sequence[str]]:
    try:
        headers = [needed for needed, _ in FORMATS.values()]
        found = _leave_columns_out(path, list(records.read(path, headers)), data)
    except DataError as error:
        return [], error.problems
    if not found:
        return [], [f"{path}: holds no rows, expected conversations"]
    rows, problems = [], []
    for where, value in found:
        try:
            rows.append(Row(where, _conversation(value, data, identity)))
        except ValueError as error:
            problems.append(f"{where}: {error}")
    return rows, problems


def _leave_columns_out(path: Path, found: list[records.Record], data: Data) -> list[records.Record]:
    """Leave out a table's columns that its format has no use for, where it has all it needs."""
    if path.suffix.lower() not in TABLES:
        return found
    columns = dict.fromkeys(column for _, value in found for column in value)
    try:
        needed, allowed = FORMATS[_format_of(columns, data.format)]
    except ValueError:
        return found
    kept = needed | allowed | ALWAYS_ALLOWED
    extra = [column for column in columns if column not in kept]
    if extra:
        named = ", ".join(map(show, extra[:SHOWN_KEYS])) + (", …" if extra[SHOWN_KEYS:] else "")
        log.warning("%s: columns that no format knows are left out: %s", path, named)
    return [
        (where, {column: text for column, text in value.items() if column in kept})
        for where, value in found
    ]


def _conversation(value: Any, data: Data, identity: Identity | None) -> list[Message]:
    if not isinstance(value, dict):
        raise ValueError(f"is {_kind(value)}, expected an object")
    name = _format_of(value, data.format)
    needed, allowed = FORMATS[name]
    unknown = set(value) - needed - allowed - ALWAYS_ALLOWED
    if unknown:
        known = ", ".join(sorted(needed | allowed | ALWAYS_ALLOWED))
        what = f"unknown key {show(sorted(unknown)[0])} in a row of format {name}"
        raise ValueError(f"{what}, expected {known}")
    messages = _messages(name, value)
    _check(messages)
    language = choose_language(_optional_text(value, "language"), messages)
    if data.placeholders:
        values = identity.placeholders(language) if identity else {}
        for message in messages:
            message["content"] = fill(message["content"], values)
    return messages


def choose_language(given: str, messages: list[Message]) -> str:
    """Choose the language whose name and author a row is filled in with.

    It is the row's own `language`, or else that of its text, or else the default, English.
    """
    text = "\n".join(message["content"] for message in messages)
    return given or find_language(text) or DEFAULT


def _format_of(value: dict[str, Any], forced: str) -> str:
    if forced != "auto":
        missing = FORMATS[forced][0] - set(value)
        if missing:
            raise ValueError(f"has no {sorted(missing)[0]!r}, expected the keys of format {forced}")
        return forced
    found = next((name for name, (needed, _) in FORMATS.items() if needed <= set(value)), None)
    if found is None:
        layouts = "; ".join(
            f"{name}: {', '.join(sorted(needed))}" for name, (needed, _) in FORMATS.items()
        )
        keys = sorted(value)
        named = ", ".join(key[:SHOWN_CHARACTERS] for key in keys[:SHOWN_KEYS]) or "none"
        more = ", …" if keys[SHOWN_KEYS:] else ""
        raise ValueError(f"has the keys {named}{more}, expected one of ({layouts})")
    return found


def _messages(name: str, value: dict[str, Any]) -> list[Message]:
    if name == "messages":
        messages = _turns(value["messages"], "role", "content")
    elif name == "sharegpt":
        messages = _turns(value["conversations"], "from", "value")
    else:
        asked, answered = (
            ("prompt", "completion") if name == "prompt_completion" else ("instruction", "output")
        )
        question = [_text(value[asked], repr(asked)), _optional_text(value, "input")]
        messages = [
            {"role": "user", "content": "\n".join(filter(None, question))},
            {"role": "assistant", "content": _text(value[answered], repr(answered))},
        ]
    if system := _optional_text(value, "system"):
        messages.insert(0, {"role": "system", "content": system})
    return messages


def _turns(turns: Any, role_key: str, text_key: str) -> list[Message]:
    if not isinstance(turns, list) or not turns:
        raise ValueError("holds no turns, expected a list of them")
    messages = []
    for number, turn in enumerate(turns, start=1):
        if not isinstance(turn, dict) or role_key not in turn:
            raise ValueError(f"turn {number} has no {role_key!r} and {text_key!r}, expected both")
        role = _role(turn, role_key, number)
        if text_key not in turn:
            raise ValueError(f"turn {number} has no {text_key!r}, expected text")
        content = _join_parts(turn[text_key], f"{text_key!r} of turn {number}")
        messages.append({"role": role, "content": content})
    return messages


def _role(turn: dict[str, Any], role_key: str, number: int) -> str:
    role = _text(turn[role_key], f"{role_key!r} of turn {number}")
    calls = role in CALLING_ROLES or any(turn.get(key) for key in CALLING_KEYS)
    if calls or role in TOOL_ROLES:
        what = "calls a tool" if calls else "is a tool's answer"
        why = "tool calls cannot be trained on yet, expected user, assistant or system"
        raise ValueError(f"turn {number} {what}; {why}")
    if role not in ROLES:
        raise ValueError(f"turn {number} is by {show(role)}, expected one of {', '.join(ROLES)}")
    return ROLES[role]


def _join_parts(content: Any, where: str) -> str:
    """Join parts of text by line ends, as llama.cpp's server does; text stays as it is."""
    if not isinstance(content, list):
        return _text(content, where)
    texts = []
    for number, part in enumerate(content, start=1):
        if not isinstance(part, dict) or part.get("type") != "text":
            kind = f"of type {show(part.get('type'))}" if isinstance(part, dict) else _kind(part)
            raise ValueError(f"part {number} of {where} is {kind}, expected parts of type 'text'")
        texts.append(_text(part.get("text"), f"part {number} of {where}"))
    return "\n".join(texts)


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{where} is {_kind(value)}, expected text")
    return value


def _optional_text(value: dict[str, Any], key: str) -> str:
    """Read what a row need not have; null is as if it were not there, as in a table."""
    return "" if value.get(key) is None else _text(value[key], repr(key))


def _kind(value: Any) -> str:
    """Name a value's kind as JSON does."""
    return KINDS.get(type(value), f"a {type(value).__name__}")


def _check(messages: list[Message]) -> None:
    if messages[-1]["role"] != "assistant":
        raise ValueError(
            f"the last message is the {messages[-1]['role']}'s, expected the assistant's"
        )
    if not any(message["role"] == "user" for message in messages):
        raise ValueError("nobody asks anything, expected a user's message")
    for message in messages:
        # A reply's blanks at its ends would merge with the template's own.
        message["content"] = (
            message["content"].strip() if message["role"] == "assistant" else message["content"]
        )
        if not message["content"].strip():
            raise ValueError(f"the {message['role']}'s message is empty, expected text")


def fill(text: str, values: dict[str, str]) -> str:
    """Fill `{{ name }}` and `{{ author }}` in.

    Args:
        text: What a row says.
        values: The name and the author, each where the persona has one.

    Raises:
        ValueError: There is another `{{`, or the persona has no such name or author.

    """

    def find_value(braces: re.Match[str]) -> str:
        name = (braces[1] or "").strip()
        if name in values:
            return values[name]
        if name in PLACEHOLDERS:
            missing = f"identity.{name}, which persona.toml does not give"
            raise ValueError(f"`{{{{ {name} }}}}` stands for {missing}")
        shown = (text[braces.start() :] if braces[1] is None else braces[0])[:SHOWN_CHARACTERS]
        what = f"{shown!r} is no placeholder, expected `{{{{ name }}}}` or `{{{{ author }}}}`"
        raise ValueError(f"{what}; set data.placeholders = false where braces are text")

    return BRACES.sub(find_value, text)
