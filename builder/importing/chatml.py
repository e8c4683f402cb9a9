"""Reads conversations that are one text in ChatML, which many data sets have under `text`."""

from __future__ import annotations

import re
from typing import Any

from builder.importing import turns
from builder.importing.conversation import Conversation

NAME = "ChatML text"
TURN = re.compile(
    r"<\|im_start\|>\s*(\w+)\s*?\n(.*?)(?:<\|im_end\|>|(?=<\|im_start\|>)|\Z)", re.DOTALL
)


def recognises(value: dict[str, Any]) -> bool:
    """Say whether a record is of this format."""
    return isinstance(value.get("text"), str) and "<|im_start|>" in value["text"]


def list_keys(_value: dict[str, Any]) -> set[str]:
    """List the key of the text."""
    return {"text"}


def read(value: dict[str, Any]) -> Conversation:
    """Read the turns between the tokens.

    Raises:
        ValueError: A turn has an unknown role, or no turn ends.

    """
    found = [{"role": role.lower(), "content": text} for role, text in TURN.findall(value["text"])]
    if not found:
        msg = "contains <|im_start|> and no turn, expected <|im_start|>user and a line end"
        raise ValueError(msg)
    return turns.read({"messages": found})
