"""Fills `{{ name }}` and `{{ author }}` in rows in, by plain substitution."""

from __future__ import annotations

import re
from typing import Any, TypeVar, cast

# Two braces, with their content if they are closed.
BRACES = re.compile(r"\{\{(?:(.*?)\}\})?", re.DOTALL)
PLACEHOLDERS = ("name", "author")
AUTHOR = "{{ author }}"  # the form in packs
SHOWN_CHARACTERS = 40
T = TypeVar("T")


def fill(text: str, values: dict[str, str]) -> str:
    """Fill `{{ name }}` and `{{ author }}` in.

    Args:
        text: A text of a row.
        values: The name and the author, if the persona has them.

    Raises:
        ValueError: There is another `{{`, or the persona has no name or author.

    """

    def find_value(braces: re.Match[str]) -> str:
        name = (braces[1] or "").strip()
        if name in values:
            return values[name]
        if name in PLACEHOLDERS:
            missing = f"identity.{name}, which persona.toml does not give"
            raise ValueError(f"`{{{{ {name} }}}}` stands for {missing}")
        shown = (text[braces.start() :] if braces[1] is None else braces[0])[:SHOWN_CHARACTERS]
        what = f"{shown!r} is not a placeholder, expected `{{{{ name }}}}` or `{{{{ author }}}}`"
        raise ValueError(f"{what}; set data.placeholders = false where braces are text")

    return BRACES.sub(find_value, text)


def fill_all(value: T, values: dict[str, str]) -> T:
    """Fill in all texts inside a value, at any depth, except for keys.

    Raises:
        ValueError: As for `fill`.

    """
    filled: Any = value
    if isinstance(value, str):
        filled = fill(value, values)
    elif isinstance(value, list):
        filled = [fill_all(item, values) for item in value]
    elif isinstance(value, dict):
        filled = {key: fill_all(item, values) for key, item in value.items()}
    return cast("T", filled)
