"""Reads conversations of ChatGPT's export `conversations.json`, which are trees of messages."""

from __future__ import annotations

import re
from typing import Any

from builder.data.values import describe_choice
from builder.importing.conversation import (
    SYSTEM_MESSAGES,
    THOUGHTS,
    WITH_TOOLS,
    Conversation,
)

NAME = "ChatGPT's export"
# Content other than text in exports of 2023 to 2026.
TEXT_TYPES = ("text", "multimodal_text")
CONTENT_TYPES = {
    "user_editable_context": SYSTEM_MESSAGES,
    "model_editable_context": SYSTEM_MESSAGES,
    "thoughts": THOUGHTS,
    "reasoning_recap": THOUGHTS,
}
# References to pages and files, between private-use characters or in lenticular brackets. None
# contains another one, so that a text of openings alone is not searched from each of them.
REFERENCE = re.compile(r"\ue200[^\ue200\ue201]*\ue201|【[^【】†]*†[^【】]*】|[\ue200-\ue206]")


def recognises(value: dict[str, Any]) -> bool:
    """Say whether a record is of this format."""
    return "mapping" in value


def list_keys(value: dict[str, Any]) -> set[str]:
    """List all keys, as the other ones hold times, names of models and the like."""
    return set(value)


def read(value: dict[str, Any]) -> Conversation:
    """Read the branch that was shown last; there are several if a message was written again.

    Raises:
        ValueError: It is not a tree of messages.

    """
    tree = value["mapping"]
    if not isinstance(tree, dict) or not all(isinstance(node, dict) for node in tree.values()):
        msg = "'mapping' has no nodes, expected those of ChatGPT's export"
        raise ValueError(msg)
    conversation = Conversation()
    for message in _list_branch(tree, value.get("current_node")):
        if _is_of_tools(message):
            conversation.cut(WITH_TOOLS)
        if conversation.is_cut:
            break
        _add(conversation, message)
    return conversation


def _list_branch(tree: dict[str, Any], last: Any) -> list[dict[str, Any]]:
    """List the messages from the root to a node, or to the last leaf."""
    leaves = [name for name, node in tree.items() if not node.get("children")]
    name = last if last in tree else next(reversed(leaves), None)
    branch, seen = [], set[str]()
    while isinstance(name, str) and name in tree and name not in seen:
        seen.add(name)
        message = tree[name].get("message")
        branch += [message] if isinstance(message, dict) else []
        name = tree[name].get("parent")
    return branch[::-1]


def _is_of_tools(message: dict[str, Any]) -> bool:
    """Say whether a message is a tool's, or a call of one."""
    role, kind = _read_role(message), _read_kind(message)
    if kind in CONTENT_TYPES or role == "system" or _is_hidden(message):
        return False
    is_call = message.get("recipient", "all") != "all"
    return role == "tool" or is_call or kind not in TEXT_TYPES


def _read_role(message: dict[str, Any]) -> Any:
    return (message.get("author") or {}).get("role")


def _read_kind(message: dict[str, Any]) -> Any:
    return (message.get("content") or {}).get("content_type")


def _is_hidden(message: dict[str, Any]) -> bool:
    return bool((message.get("metadata") or {}).get("is_visually_hidden_from_conversation"))


def _add(conversation: Conversation, message: dict[str, Any]) -> None:
    role, kind = _read_role(message), _read_kind(message)
    content = message.get("content") or {}
    if kind in CONTENT_TYPES:
        conversation.leave_out(CONTENT_TYPES[kind])
    elif role == "system" or _is_hidden(message):
        # Every conversation begins with an empty message.
        if any(content.get("parts") or ()):
            conversation.leave_out(SYSTEM_MESSAGES)
    elif role in ("user", "assistant"):
        text = conversation.join_parts(role, content.get("parts"))
        conversation.add(role, REFERENCE.sub("", text))
    else:
        msg = f"has a message by {describe_choice(role)}, expected user, assistant, system or tool"
        raise ValueError(msg)
