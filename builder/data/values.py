"""The values of a row: parsing JSON, naming kinds of values, and refusing some values."""

from __future__ import annotations

import collections
import json
import re
from dataclasses import dataclass
from typing import Any

from builder.escapes import quote

KINDS = {
    bool: "a boolean",
    int: "a number",
    float: "a number",
    list: "a list",
    dict: "an object",
    str: "text",
    bytes: "bytes",
    type(None): "null",
    tuple: "a map's entry",  # pyarrow's type for the entries of a map
}
MAX_NUMBER_DIGITS = 4300  # sys.int_info.default_max_str_digits: the longest that Python reads
# The most levels of lists and objects in a tool or a call: parsers are recursive.
MOST_LEVELS = 64
SURROGATE = re.compile(r"[\ud800-\udfff]")


@dataclass(frozen=True)
class Refused:
    """A value in JSON that is refused, with the reason."""

    reason: str


def describe_kind(value: Any) -> str:
    """Name the kind of a value in the terms of JSON."""
    return KINDS.get(type(value), f"a {type(value).__name__}")


def describe_choice(value: Any) -> str:
    """Quote a text, and name the kind of anything else, for a message about a choice of texts."""
    return quote(value) if isinstance(value, str) else describe_kind(value)


def read_text(value: Any, where: str) -> str:
    """Read a value that must be text.

    Raises:
        ValueError: It is something else.

    """
    if not isinstance(value, str):
        raise ValueError(f"{where} is {describe_kind(value)}, expected text")
    return value


def escape_in_json(text: str) -> str:
    """Write a text as it stands between the quotes of a JSON string."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


def parse_json(text: str) -> Any:
    """Parse JSON, with Refused in place of values that are refused, so that their row is known.

    Raises:
        json.JSONDecodeError: It is not JSON.

    """
    try:
        return json.loads(text, object_pairs_hook=_object, parse_int=_number)
    except RecursionError:
        return Refused("is nested too deeply, expected lists and objects of a few levels")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any] | Refused:
    made = dict(pairs)
    if len(made) == len(pairs):
        return made
    ((key, _),) = collections.Counter(key for key, _ in pairs).most_common(1)
    return Refused(f"the key {quote(key)} appears twice in an object, expected it once")


def _number(digits: str) -> int | Refused:
    if len(digits) <= MAX_NUMBER_DIGITS:
        return int(digits)
    return Refused(f"contains a number of {len(digits):,} digits, expected text")


def find_mistake(value: Any) -> str | None:
    """Find a refused value in a parsed record, at any depth."""
    left = [value]
    while left:
        item = left.pop()
        if isinstance(item, Refused):
            return item.reason
        if isinstance(item, dict):
            left += [*item, *item.values()]
        elif isinstance(item, list):
            left += item
        elif isinstance(item, str) and (lone := SURROGATE.search(item)):
            return (
                f"contains half a surrogate pair (\\u{ord(lone[0]):x}), expected whole characters"
            )
        elif isinstance(item, str) and "\0" in item:
            return "contains the character U+0000, expected text"
    return None


def read_json(value: Any, where: str) -> Any:
    """Read a value that may be JSON text, as in some files.

    Raises:
        ValueError: It is text but not JSON, or holds refused values, such as dates, decimals and
            bytes of a table.

    """
    if isinstance(value, str):
        try:
            value = parse_json(value)
        except json.JSONDecodeError:
            raise ValueError(f"{where} is {quote(value)}, expected JSON") from None
        if mistake := find_mistake(value):
            raise ValueError(f"{where}: {mistake}")
    elif found := _find_foreign(value):
        raise ValueError(f"{where} contains {found}, expected values of JSON")
    _check_levels(value, where)
    return value


def _find_foreign(value: Any) -> str | None:
    """Find a value that JSON cannot represent, with its key."""
    left = [(value, "")]
    while left:
        item, at = left.pop()
        if isinstance(item, dict):
            left += [(inner, f" at {quote(key)}") for key, inner in item.items()]
        elif isinstance(item, list):
            left += [(inner, at) for inner in item]
        elif not isinstance(item, str | int | float | None):
            return describe_kind(item) + at
    return None


def _check_levels(value: Any, where: str) -> None:
    level = [value]
    for _ in range(MOST_LEVELS + 1):
        filled = [item for item in level if isinstance(item, dict | list)]
        if not filled:
            return
        listed = [item.values() if isinstance(item, dict) else item for item in filled]
        level = [item for items in listed for item in items]
    raise ValueError(f"{where} is nested too deeply, expected at most {MOST_LEVELS} levels")
