"""How a person names languages: by code, by the name in English, or by the language's own."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from builder.data.languages import Language, list_languages

# What may stand between several of them: one asks for a list, and a list is typed in many ways.
SEPARATORS = re.compile(r"[\s,;/，、；]+")


def read(typed: str, codes: Sequence[str]) -> list[str]:
    """Read a list of languages, each by a code or a name, as codes.

    A code may have a country or a script behind it, as in de-AT and zh_Hans. Neither capitals nor
    accents count.

    Args:
        typed: What was typed.
        codes: The languages that can be chosen.

    Raises:
        ValueError: None is named, or one that is not among these.

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
    """Leave out an "and" between two languages, where it is no language's code itself."""
    conjunctions = {"&", *(language.conjunction for language in list_languages())}
    return [
        part
        for at, part in enumerate(parts)
        if part in codes or part.casefold() not in conjunctions or at in (0, len(parts) - 1)
    ]


def describe(codes: Sequence[str]) -> str:
    """List languages by code and by name, as a person may type them."""
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
    """Leave out capitals and accents."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in plain if not unicodedata.combining(character))
