"""Reads names of languages: codes, English names, or names in the language itself."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from builder.data.languages import Language, list_languages

# Separators of a list, which people type in many ways.
SEPARATORS = re.compile(r"[\s,;/，、；]+")


def read(typed: str, codes: Sequence[str]) -> list[str]:
    """Read a list of codes or names of languages, and return their codes.

    A code may be followed by a country or a script, as in de-AT and zh_Hans. Case and accents are
    ignored.

    Args:
        typed: The text.
        codes: The languages to choose from.

    Raises:
        ValueError: It names no language, or one that is not among these.

    """
    parts = _leave_conjunctions_out(list(filter(None, SEPARATORS.split(typed))), codes)
    if not parts:
        raise ValueError(f"no language is named, expected some of {describe(codes)}")
    found = [_find(part, codes) for part in parts]
    for part, code in zip(parts, found, strict=True):
        if code is None:
            raise ValueError(f"{part!r:.60} has no pack, expected some of {describe(codes)}")
    return list(dict.fromkeys(filter(None, found)))


def _leave_conjunctions_out(parts: list[str], codes: Sequence[str]) -> list[str]:
    """Leave out an "and" between two languages, unless it is the code of a language."""
    conjunctions = {"&", *(language.conjunction for language in list_languages())}
    return [
        part
        for at, part in enumerate(parts)
        if part in codes or part.casefold() not in conjunctions or at in (0, len(parts) - 1)
    ]


def describe(codes: Sequence[str]) -> str:
    """List languages with their codes and names."""
    return ", ".join(
        f"{language.code} ({', '.join(dict.fromkeys((language.name, *language.own_names[:1])))})"
        for language in _list(codes)
    )


def _find(part: str, codes: Sequence[str]) -> str | None:
    plain = _simplify(part)
    for language in _list(codes):
        if plain in map(_simplify, (language.code, language.name, *language.own_names)):
            return language.code
    code, *rest = re.split(r"[-_]", plain, maxsplit=1)
    return code if rest and code in codes else None


def _list(codes: Sequence[str]) -> list[Language]:
    return [language for language in list_languages() if language.code in codes]


def _simplify(text: str) -> str:
    """Remove case and accents."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in plain if not unicodedata.combining(character))
