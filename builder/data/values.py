"""The values of a row: what kind each is, and those that JSON holds within text."""

from __future__ import annotations

import json
import math
from typing import Any

from builder.tables import show

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
# By the types of a JSON schema.
SCHEMA_KINDS = {
    "string": "text",
    "number": "a number",
    "integer": "a number",
    "boolean": "a boolean",
    "array": "a list",
    "object": "an object",
    "null": "null",
}
# The greatest whole number that every reader of JSON keeps; llama.cpp and Ollama read larger ones
# as another number.
MOST_WHOLE = 1 << 53


def describe_kind(value: Any) -> str:
    """Name a value's kind as JSON does."""
    return KINDS.get(type(value), f"a {type(value).__name__}")


def read_text(value: Any, where: str) -> str:
    """Read what must be text.

    Raises:
        ValueError: It is something else.

    """
    if not isinstance(value, str):
        raise ValueError(f"{where} is {describe_kind(value)}, expected text")
    return value


def read_json(value: Any, where: str) -> Any:
    """Read a value that some files hold as JSON within text.

    Raises:
        ValueError: It is text, and no JSON.

    """
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        raise ValueError(f"{where} is {show(value)}, expected JSON") from None


def order_keys(value: Any, where: str) -> Any:
    """Write a value as Ollama passes it on: the keys of each object in order, 1.0 as 1.

    Raises:
        ValueError: It holds a number that is not read as it is written.

    Source:
        encoding/json of Go: an object becomes a map, which is written by its sorted keys.

    """
    if isinstance(value, dict):
        return {key: order_keys(value[key], where) for key in sorted(value)}
    if isinstance(value, list):
        return [order_keys(item, where) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{where} holds {value}, expected a finite number")
    if isinstance(value, int) and abs(value) > MOST_WHOLE:
        raise ValueError(f"{where} holds a number beyond 2^53, expected it as text")
    if isinstance(value, float) and value.is_integer() and abs(value) <= MOST_WHOLE:
        return int(value)
    return value
