"""The layouts of rows: their keys, and the conversation they hold."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any

from builder.data import calls
from builder.data.template import Message
from builder.data.tools import Tool, find_open
from builder.data.values import describe_choice, describe_kind, read_text
from builder.escapes import quote
from builder.manifest.fields import is_visible
from builder.words import suggest

ROLES = {
    "system": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
}
# The keys of each format: required ones, and optional ones.
FORMATS: dict[str, tuple[set[str], set[str]]] = {
    "messages": ({"messages"}, {"tools"}),
    "sharegpt": ({"conversations"}, {"system", "tools"}),
    "prompt_completion": ({"prompt", "completion"}, {"system"}),
    "alpaca": ({"instruction", "output"}, {"input", "system"}),
}
ALWAYS_ALLOWED = {"language", "id"}
# Common names of a question and its answer in data sets and exports.
QUESTIONS = (
    *("prompt", "instruction", "question", "query", "user", "human", "ask", "q", "input"),
    *("frage", "anweisung", "eingabe", "demande", "问题", "问", "提问", "指令"),
)
ANSWERS = (
    *("completion", "output", "response", "answer", "assistant", "reply", "chosen", "a"),
    *("antwort", "ausgabe", "réponse", "reponse", "回答", "答案", "答", "输出"),
)
# The similarity of a misspelt key: a letter or two may differ.
LIKENESS = 0.8
SHOWN_CHARACTERS, SHOWN_KEYS = 40, 10


def find_format(value: dict[str, Any], forced: str) -> str:
    """Find the layout of a row, by the manifest or by its keys.

    Raises:
        ValueError: A key is missing, or the keys fit no layout.

    """
    if forced != "auto":
        missing = FORMATS[forced][0] - set(value)
        if missing:
            what = f"has no {sorted(missing)[0]!r}, expected the keys of format {forced}"
            raise ValueError(what + _advise(value, FORMATS[forced][0]))
        return forced
    found = next((name for name, (needed, _) in FORMATS.items() if needed <= set(value)), None)
    if found is None:
        layouts = "; ".join(
            f"{name}: {', '.join(sorted(needed))}" for name, (needed, _) in FORMATS.items()
        )
        what = f"has the keys {name_keys(value)}, expected one of ({layouts})"
        every = set().union(*(needed for needed, _ in FORMATS.values()))
        raise ValueError(what + _advise(value, every))
    return found


def name_keys(value: Iterable[Any]) -> str:
    """Name the first keys of a row for a message."""
    keys = sorted(map(str, value))
    named = ", ".join(key[:SHOWN_CHARACTERS] for key in keys[:SHOWN_KEYS]) or "none"
    return named + (", …" if keys[SHOWN_KEYS:] else "")


def suggest_key(key: str) -> str:
    """Suggest a known key that is similar to an unknown one; "" if none is."""
    known = ALWAYS_ALLOWED.union(*(needed | more for needed, more in FORMATS.values()))
    return suggest(key, known)


def _advise(value: dict[str, Any], wanted: set[str]) -> str:
    """Suggest which unknown keys of a row are misspelt ones; "" if none are."""
    is_alpaca = "prompt" not in wanted or not value.keys().isdisjoint({"instruction", "output"})
    question, answer = ("instruction", "output") if is_alpaca else ("prompt", "completion")
    meant = {**dict.fromkeys(QUESTIONS, question), **dict.fromkeys(ANSWERS, answer)}
    known = ALWAYS_ALLOWED.union(*(needed | more for needed, more in FORMATS.values()))
    proposed: dict[str, str] = {}
    for key in [key for key in value if key not in known][:SHOWN_KEYS]:
        plain = key.strip().casefold()[:SHOWN_CHARACTERS]
        close = difflib.get_close_matches(plain, sorted(wanted), 1, LIKENESS)
        name = meant.get(plain) or next(iter(close), "")
        if name in wanted - value.keys():
            proposed.setdefault(name, quote(key))
    if not proposed:
        return ""
    return f"; did you mean {' and '.join(f'{name!r} by {key}' for name, key in proposed.items())}?"


def read_messages(name: str, value: dict[str, Any], tools: Sequence[Tool] = ()) -> list[Message]:
    """Read the conversation of a row.

    Args:
        name: The layout.
        value: The row.
        tools: The functions that the row declares.

    Raises:
        ValueError: A turn is wrong.

    """
    if name == "messages":
        messages = _turns(value["messages"], "role", "content")
        calls.check_calls(messages, tools, find_open(value.get("tools")))
    elif name == "sharegpt":
        messages = _turns(value["conversations"], "from", "value")
        calls.check_calls(messages, tools, find_open(value.get("tools")))
    else:
        asked, answered = (
            ("prompt", "completion") if name == "prompt_completion" else ("instruction", "output")
        )
        question = [read_text(value[asked], repr(asked)), read_optional_text(value, "input")]
        messages = [
            {"role": "user", "content": "\n".join(filter(None, question))},
            {"role": "assistant", "content": read_text(value[answered], repr(answered))},
        ]
    if system := read_optional_text(value, "system"):
        messages.insert(0, {"role": "system", "content": system})
    return messages


def _turns(turns: Any, role_key: str, text_key: str) -> list[Message]:
    if not isinstance(turns, list) or not turns:
        raise ValueError("has no turns, expected a list of them")
    messages = []
    for number, turn in enumerate(turns, start=1):
        if not isinstance(turn, dict) or role_key not in turn:
            raise ValueError(f"turn {number} has no {role_key!r} and {text_key!r}, expected both")
        messages.append(_message(turn, role_key, text_key, number))
    return messages


def _message(turn: dict[str, Any], role_key: str, text_key: str, number: int) -> Message:
    role = read_text(turn[role_key], f"{role_key!r} of turn {number}")
    if role in calls.CALLING_ROLES:
        made = calls.parse_calls(turn.get(text_key), f"turn {number}")
        return {"role": "assistant", "content": "", "tool_calls": made}
    if role not in ROLES and role not in calls.RESULT_ROLES:
        known = ", ".join((*ROLES, *calls.CALLING_ROLES, *calls.RESULT_ROLES))
        raise ValueError(f"turn {number} is by {quote(role)}, expected one of {known}")
    is_call = any(turn.get(key) for key in calls.KEYS)
    if is_call and ROLES.get(role) != "assistant":
        raise ValueError(
            f"turn {number} is the {role}'s and calls a tool, expected the assistant's"
        )
    if text_key not in turn and not is_call:
        raise ValueError(f"turn {number} has no {text_key!r}, expected text")
    content = turn.get(text_key)
    where = f"{text_key!r} of turn {number}"
    content = "" if content is None and is_call else _join_parts(content, where)
    if role in calls.RESULT_ROLES:
        return calls.read_result(turn, content, number)
    if ROLES[role] == "assistant" and is_left_out(turn):
        raise ValueError(
            f"turn {number} has weight {quote(turn['weight'])}, expected 1 or none: all of the "
            "assistant's turns are trained on"
        )
    message: Message = {"role": ROLES[role], "content": content}
    return {**message, "tool_calls": calls.read_calls(turn, number)} if is_call else message


def is_left_out(turn: dict[str, Any]) -> bool:
    """Say whether a turn is one that OpenAI's format leaves out of training."""
    return turn.get("weight") not in (None, 1)


def _join_parts(content: Any, where: str) -> str:
    """Join parts of text with line ends, as llama.cpp's server does; plain text is unchanged."""
    if not isinstance(content, list):
        return read_text(content, where)
    texts = []
    for number, part in enumerate(content, start=1):
        if not isinstance(part, dict) or part.get("type") != "text":
            kind = (
                f"of type {describe_choice(part.get('type'))}"
                if isinstance(part, dict)
                else describe_kind(part)
            )
            raise ValueError(f"part {number} of {where} is {kind}, expected parts of type 'text'")
        texts.append(read_text(part.get("text"), f"part {number} of {where}"))
    return "\n".join(texts)


def read_optional_text(value: dict[str, Any], key: str) -> str:
    """Read an optional text; null is the same as a missing key, as in tables."""
    return "" if value.get(key) is None else read_text(value[key], repr(key))


def check(messages: list[Message]) -> None:
    """Check that a conversation can be trained on, and strip white space from its replies.

    Raises:
        ValueError: It does not end with a reply, has no question, or has an empty message.

    """
    if messages[-1]["role"] != "assistant":
        raise ValueError(
            f"the last message is the {messages[-1]['role']}'s, expected the assistant's"
        )
    if not any(message["role"] == "user" for message in messages):
        raise ValueError("has no user's message, expected one")
    for message in messages:
        # White space around a reply would merge with the template's own.
        message["content"] = (
            message["content"].strip() if message["role"] == "assistant" else message["content"]
        )
        if not is_visible(message["content"]) and not message.get("tool_calls"):
            raise ValueError(f"the {message['role']}'s message is empty, expected text")
