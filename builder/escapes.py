"""How text and values from outside are shown: without control characters, and short in messages."""

from __future__ import annotations

import codecs
import json
import re
import reprlib
import unicodedata
from typing import Any

SHOWN_CHARACTERS = 60
BIDIRECTIONAL = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)

# What `escape` escapes and JSON leaves as it is.
MOVING = re.compile(f"[\x7f-\x9f\u2028\u2029\ud800-\udfff{''.join(BIDIRECTIONAL)}]")


def escape(text: str, keep: str = "\t") -> str:
    r"""Write control characters as escapes, so that text from outside cannot move or forge a line.

    Args:
        text: The text, which may hold newlines, terminal sequences or lone surrogates.
        keep: Control characters that stay as they are.

    """
    return "".join(
        character.encode("unicode_escape").decode()
        if character not in keep
        and (
            unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
            or character in BIDIRECTIONAL
        )
        else character
        for character in text
    )


def write_json(value: Any, encoding: str | None = None) -> str:
    """Write JSON as one line that is the same value in any encoding, and moves no cursor.

    Args:
        value: The value.
        encoding: What the line will be written in; UTF-8 by default.

    """
    is_utf_8 = codecs.lookup(encoding or "utf-8").name == "utf-8"
    text = json.dumps(value, ensure_ascii=not is_utf_8)
    return MOVING.sub(lambda found: json.dumps(found[0])[1:-1], text)


def quote(value: Any) -> str:
    """Write a value of a file as TOML does, cut to about sixty characters, for a message."""
    shown = _QUOTING.repr(value)
    return shown if len(shown) <= SHOWN_CHARACTERS + 2 else shown[:SHOWN_CHARACTERS] + "…"


class _Quoting(reprlib.Repr):
    """Writes a value of any size and depth as TOML does, in a few words."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 2
        self.maxstring = self.maxother = SHOWN_CHARACTERS

    def repr_bool(self, value: bool, _level: int) -> str:  # noqa: FBT001 — reprlib's signature
        return str(value).lower()

    def repr_int(self, value: int, _level: int) -> str:
        # Python writes no number of more than 4300 digits.
        if value.bit_length() <= 64:
            return str(value)
        return f"a number of about {round(value.bit_length() * 0.30103):,} digits"

    def repr_date(self, value: object, _level: int) -> str:
        return str(value)

    repr_datetime = repr_time = repr_date


_QUOTING = _Quoting()
