"""`{{ name }}` and `{{ author }}` in rows, filled in by substitution and nothing else."""

from __future__ import annotations

import re

# Two braces, and what they enclose where they are closed.
BRACES = re.compile(r"\{\{(?:(.*?)\}\})?", re.DOTALL)
PLACEHOLDERS = ("name", "author")
AUTHOR = "{{ author }}"  # as packs write it
SHOWN_CHARACTERS = 40


def fill(text: str, values: dict[str, str]) -> str:
    """Fill `{{ name }}` and `{{ author }}` in.

    Args:
        text: What a row says.
        values: The name and the author, each where the persona has one.

    Raises:
        ValueError: There is another `{{`, or the persona has no such name or author.

    """

    def find_value(braces: re.Match[str]) -> str:
        name = (braces[1] or "").strip()
        if name in values:
            return values[name]
        if name in PLACEHOLDERS:
            missing = f"identity.{name}, which persona.toml does not give"
            raise ValueError(f"`{{{{ {name} }}}}` stands for {missing}")
        shown = (text[braces.start() :] if braces[1] is None else braces[0])[:SHOWN_CHARACTERS]
        what = f"{shown!r} is no placeholder, expected `{{{{ name }}}}` or `{{{{ author }}}}`"
        raise ValueError(f"{what}; set data.placeholders = false where braces are text")

    return BRACES.sub(find_value, text)
