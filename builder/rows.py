"""Data files read into conversations: formats, placeholders, and every mistake by file and line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from builder.conversation import Message
from builder.errors import DataError
from builder.manifest import Identity
from builder.persona import Persona

CJK = re.compile(r"[\u3400-\u9fff]")
MAX_LINE_BYTES = 1 << 20
ROLES = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "system": "system"}
# Each format's keys: needed, then allowed beside them.
FORMATS: dict[str, tuple[set[str], set[str]]] = {
    "messages": ({"messages"}, set()),
    "sharegpt": ({"conversations"}, {"system"}),
    "prompt_completion": ({"prompt", "completion"}, {"system"}),
    "alpaca": ({"instruction", "output"}, {"input", "system"}),
}
ALWAYS_ALLOWED = {"language", "id"}
PLACEHOLDERS = ImmutableSandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True)


@dataclass(frozen=True)
class Row:
    """One conversation and the place it came from."""

    where: str
    messages: list[Message]

    @property
    def question(self) -> str:
        """What the user says, normalised."""
        return normalise("\n".join(message["content"] for message in self.messages if message["role"] == "user"))


def normalise(said: str) -> str:
    """Take case and punctuation off, so that two spellings of one question are equal."""
    return re.sub(r"[\W_]+", " ", said.casefold()).strip() or said


def read(persona: Persona) -> list[Row]:
    """Read every row of a persona's data files.

    Raises:
        DataError: A file or a row is not as it must be; all mistakes at once.

    """
    rows, problems = collect(persona)
    if problems:
        raise DataError(*problems)
    return rows


def collect(persona: Persona) -> tuple[list[Row], list[str]]:
    """Read what can be read of a persona's data files, and name every mistake of the rest."""
    rows: list[Row] = []
    problems: list[str] = []
    for path in persona.data_files:
        try:
            raw = list(_raw_rows(path))
        except DataError as error:
            problems += error.problems
            continue
        if not raw:
            problems.append(f"{path}: holds no rows, expected conversations")
        for where, value in raw:
            try:
                rows.append(Row(where, _conversation(value, persona)))
            except ValueError as error:
                problems.append(f"{where}: {error}")
    return rows, problems


def _raw_rows(path: Path) -> Iterator[tuple[str, Any]]:
    if not path.is_file():
        msg = f"{path}: no such file, expected the persona's data"
        raise DataError(msg)
    match path.suffix:
        case ".jsonl":
            yield from _jsonl(path)
        case ".json":
            yield from _json(path)
        case ".csv" | ".parquet":
            yield from _table(path)
        case suffix:
            msg = f"{path}: is a {suffix or 'file without ending'}, expected .jsonl, .json, .csv or .parquet"
            raise DataError(msg)


def _jsonl(path: Path) -> Iterator[tuple[str, Any]]:
    problems, rows = [], []
    for number, line in enumerate(_text(path).split("\n"), start=1):
        where = f"{path}:{number}"
        if len(line) > MAX_LINE_BYTES:
            problems.append(f"{where}: the line has {len(line):,} characters, expected at most {MAX_LINE_BYTES:,}")
        elif line.strip():
            try:
                rows.append((where, json.loads(line)))
            except json.JSONDecodeError as error:
                problems.append(f"{where}: column {error.colno}: {error.msg.lower()}, expected one JSON object a line")
    if problems:
        raise DataError(*problems)
    yield from rows


def _json(path: Path) -> Iterator[tuple[str, Any]]:
    text = _text(path)
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"{path}:{error.lineno}: column {error.colno}: {error.msg.lower()}, expected JSON") from None
    if not isinstance(values, list):
        raise DataError(f"{path}:1: holds {type(values).__name__}, expected a list of rows")
    for number, value in enumerate(values, start=1):
        yield f"{path}: row {number}", value


def _table(path: Path) -> Iterator[tuple[str, Any]]:
    import datasets  # noqa: PLC0415 — takes seconds

    datasets.disable_progress_bars()
    if path.suffix == ".csv":
        _text(path)
    try:
        table = datasets.Dataset.from_csv(str(path), keep_in_memory=True) if path.suffix == ".csv" else datasets.Dataset.from_parquet(str(path), keep_in_memory=True)
    except Exception as error:  # noqa: BLE001 — pandas and pyarrow raise dozens of kinds for a broken file
        raise DataError(f"{path}: cannot be read ({str(error).splitlines()[0]}), expected a {path.suffix[1:]} table with a header") from None
    # A csv's first row of values stands on its second line.
    for number, value in enumerate(table, start=2):
        yield f"{path}:{number}", {key: item for key, item in value.items() if item is not None}


def _text(path: Path) -> str:
    raw = path.read_bytes()
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{path}:1: is UTF-16, expected UTF-8", hint="save it as UTF-8")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise DataError(f"{path}:{line}: byte {raw[error.start]:#x} is not UTF-8, expected UTF-8") from None


def _conversation(value: Any, persona: Persona) -> list[Message]:
    if not isinstance(value, dict):
        raise ValueError(f"is {type(value).__name__}, expected an object")
    name = _format_of(value, persona.manifest.data.format)
    needed, allowed = FORMATS[name]
    unknown = set(value) - needed - allowed - ALWAYS_ALLOWED
    if unknown:
        raise ValueError(f"unknown key {sorted(unknown)[0]!r} in a row of format {name}, expected {', '.join(sorted(needed | allowed | ALWAYS_ALLOWED))}")
    messages = _messages(name, value)
    _check(messages)
    language = value.get("language") or ("zh" if CJK.search(messages[-1]["content"] + messages[0]["content"]) else "en")
    return [{"role": message["role"], "content": fill(message["content"], persona.manifest.identity, language)} for message in messages]


def _format_of(value: dict[str, Any], forced: str) -> str:
    if forced != "auto":
        missing = FORMATS[forced][0] - set(value)
        if missing:
            raise ValueError(f"has no {sorted(missing)[0]!r}, expected the keys of format {forced}")
        return forced
    found = next((name for name, (needed, _) in FORMATS.items() if needed <= set(value)), None)
    if found is None:
        layouts = "; ".join(f"{name}: {', '.join(sorted(needed))}" for name, (needed, _) in FORMATS.items())
        raise ValueError(f"has the keys {', '.join(sorted(map(str, value))) or 'none'}, expected one of ({layouts})")
    return found


def _messages(name: str, value: dict[str, Any]) -> list[Message]:
    if name == "messages":
        messages = _turns(value["messages"], "role", "content")
    elif name == "sharegpt":
        messages = _turns(value["conversations"], "from", "value")
    else:
        asked, answered = ("prompt", "completion") if name == "prompt_completion" else ("instruction", "output")
        question = "\n".join(str(value[key]) for key in (asked, "input") if value.get(key))
        messages = [{"role": "user", "content": question}, {"role": "assistant", "content": _string(value[answered], answered)}]
    if value.get("system"):
        messages.insert(0, {"role": "system", "content": _string(value["system"], "system")})
    return messages


def _turns(turns: Any, role_key: str, text_key: str) -> list[Message]:
    if not isinstance(turns, list) or not turns:
        raise ValueError("holds no turns, expected a list of them")
    messages = []
    for number, turn in enumerate(turns, start=1):
        if not isinstance(turn, dict) or role_key not in turn or text_key not in turn:
            raise ValueError(f"turn {number} has no {role_key!r} and {text_key!r}, expected both")
        role = ROLES.get(turn[role_key])
        if role is None:
            raise ValueError(f"turn {number} is by {turn[role_key]!r}, expected one of {', '.join(ROLES)}")
        messages.append({"role": role, "content": _string(turn[text_key], text_key)})
    return messages


def _string(value: Any, key: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{key!r} is {type(value).__name__}, expected text")
    return value


def _check(messages: list[Message]) -> None:
    if messages[-1]["role"] != "assistant":
        raise ValueError(f"the last message is the {messages[-1]['role']}'s, expected the assistant's")
    if not any(message["role"] == "user" for message in messages):
        raise ValueError("nobody asks anything, expected a user's message")
    for message in messages:
        # A reply's blanks at its ends would merge with the template's own.
        message["content"] = message["content"].strip() if message["role"] == "assistant" else message["content"]
        if not message["content"].strip():
            raise ValueError(f"the {message['role']}'s message is empty, expected text")


def fill(text: str, identity: Identity, language: str) -> str:
    """Fill `{{ name }}` and `{{ author }}` in.

    Raises:
        ValueError: A placeholder is unknown, or one is left over.

    """
    if "{{" not in text and "{%" not in text:
        return text
    try:
        filled = PLACEHOLDERS.from_string(text).render(identity.placeholders(language))
    except TemplateError as error:
        raise ValueError(f"{error.message}, expected only {{{{ name }}}} and {{{{ author }}}}") from None
    if "{{" in filled:
        raise ValueError("a placeholder is left over after filling in, expected none")
    return filled
