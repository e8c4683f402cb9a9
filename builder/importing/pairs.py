"""Reads a question and its answer under two of many names."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from builder.data.layouts import ANSWERS, QUESTIONS
from builder.importing.conversation import Conversation

NAME = "questions and answers"
# Stanford Alpaca's `input` comes below the instruction.
CONTEXTS = ("input", "context")


def recognises(value: dict[str, Any]) -> bool:
    """Say whether a record is of this format."""
    names = _by_name(value)
    return any(name in names for name in QUESTIONS) and any(name in names for name in ANSWERS)


def list_keys(value: dict[str, Any]) -> set[str]:
    """List the keys of question, context, system text and answer, as written."""
    names = {_simplify(key): key for key in value}
    question, answer = _choose(names)
    return {names[name] for name in (question, answer, "system", *CONTEXTS) if name in names}


def read(value: dict[str, Any]) -> Conversation:
    """Read the question with its context, and the answer.

    Raises:
        ValueError: One of them is not text.

    """
    names, conversation = _by_name(value), Conversation()
    question, answer = _choose(names)
    contexts = [names.get(name) for name in CONTEXTS if name != question]
    asked = [conversation.join_parts("user", part).strip() for part in (names[question], *contexts)]
    if not asked[0]:
        return conversation
    conversation.add("system", conversation.join_parts("system", names.get("system")))
    conversation.add("user", "\n".join(filter(None, asked)))
    conversation.add("assistant", conversation.join_parts("assistant", names[answer]))
    return conversation


def describe() -> str:
    """List the known names, for a message about a record that has none of them."""
    return f"one of {', '.join(QUESTIONS[:6])} and one of {', '.join(ANSWERS[:5])}"


def _choose(names: Container[str]) -> tuple[str, str]:
    """Choose the names of the question and the answer among a record's."""
    question = next(name for name in QUESTIONS if name in names)
    return question, next(name for name in ANSWERS if name in names)


def _by_name(value: dict[str, Any]) -> dict[str, Any]:
    return {_simplify(key): item for key, item in value.items()}


def _simplify(key: Any) -> str:
    return str(key).strip().casefold()
