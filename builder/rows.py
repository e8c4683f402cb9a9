"""Records of data files made into conversations: formats, placeholders, and every mistake by file and line."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from builder import records
from builder.conversation import Message
from builder.errors import DataError
from builder.manifest import Identity
from builder.persona import Persona

CJK = re.compile(r"[\u3400-\u9fff]")
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
            raw = list(records.read(path))
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
