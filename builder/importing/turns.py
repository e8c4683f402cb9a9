"""Reads conversations that are lists of turns: OpenAI's `messages`, ShareGPT's `conversations`."""

from __future__ import annotations

from typing import Any

from builder.data import calls, layouts
from builder.data.values import describe_choice, describe_kind
from builder.importing.conversation import (
    SYSTEM_MESSAGES,
    WITH_TOOLS,
    WITH_WEIGHTS,
    Conversation,
)

NAME = "a list of turns"
LISTS = ("messages", "conversations", "conversation")
ROLE_KEYS = ("role", "from")
TEXT_KEYS = ("content", "value", "text")
ROLES = {
    **layouts.ROLES,
    "developer": "system",
    "chatgpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
}
TOOL_ROLES = (*calls.CALLING_ROLES, *calls.RESULT_ROLES, "function_response")


def recognises(value: dict[str, Any]) -> bool:
    """Say whether a record is of this format."""
    return any(isinstance(value.get(key), list) for key in LISTS)


def list_keys(value: dict[str, Any]) -> set[str]:
    """List the keys of the turns and of a separate system text."""
    return {"system", _find_list(value)}


def read(value: dict[str, Any]) -> Conversation:
    """Read the turns, after a separate system text.

    Raises:
        ValueError: A turn has no role or no text.

    """
    conversation = Conversation()
    conversation.add("system", conversation.join_parts("system", value.get("system")))
    for number, turn in enumerate(value[_find_list(value)], start=1):
        if not isinstance(turn, dict):
            raise ValueError(f"turn {number} is {describe_kind(turn)}, expected an object")
        _add(conversation, turn, number)
    return conversation


def _find_list(value: dict[str, Any]) -> str:
    return next(key for key in LISTS if isinstance(value.get(key), list))


def _add(conversation: Conversation, turn: dict[str, Any], number: int) -> None:
    role = next((turn[key] for key in ROLE_KEYS if key in turn), None)
    if role in TOOL_ROLES:
        conversation.cut(WITH_TOOLS)
        return
    if role not in ROLES:
        raise ValueError(
            f"turn {number} is by {describe_choice(role)}, expected one of {', '.join(ROLES)}"
        )
    if turn.get("tool_calls") or turn.get("function_call"):
        conversation.cut(WITH_TOOLS)
    elif ROLES[role] == "assistant" and layouts.is_left_out(turn):
        conversation.cut(WITH_WEIGHTS)
    elif not any(key in turn for key in TEXT_KEYS):
        raise ValueError(f"turn {number} has no text, expected one of {', '.join(TEXT_KEYS)}")
    content = next((turn[key] for key in TEXT_KEYS if turn.get(key) is not None), None)
    text = conversation.join_parts(ROLES[role], content)
    if ROLES[role] == "system" and number > 1:
        conversation.leave_out(SYSTEM_MESSAGES)
        return
    conversation.add(ROLES[role], text)
