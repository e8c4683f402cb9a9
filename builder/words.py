"""Joins and counts words as in a sentence."""

from __future__ import annotations

from collections.abc import Sequence


def join(words: Sequence[str], conjunction: str = "and") -> str:
    """Join words with commas and a conjunction: "a, b and c"."""
    return f" {conjunction} ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))


def count(number: int, noun: str) -> str:
    """Write a number with its noun: "1 row", "1,000 rows"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
