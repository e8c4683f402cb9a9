"""Joins, counts and suggests words as in a sentence."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

# How much of a misspelt name is compared with known names.
MOST_COMPARED = 80


def join(words: Sequence[str], conjunction: str = "and") -> str:
    """Join words with commas and a conjunction: "a, b and c"."""
    return f" {conjunction} ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))


def count(number: int, noun: str) -> str:
    """Write a number with its noun: "1 row", "1,000 rows"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def suggest(name: str, known: Iterable[str]) -> str:
    """Suggest the known name that is most similar to the one typed; "" if none is similar.

    A known name that is refused where it stands was not misspelt.
    """
    names = sorted(known)
    if name in names:
        return ""
    close = difflib.get_close_matches(name[:MOST_COMPARED].casefold(), names, 1)
    return f"; did you mean '{close[0]}'?" if close else ""
