"""Joins words as in a sentence."""

from __future__ import annotations

from collections.abc import Sequence


def join(words: Sequence[str], conjunction: str = "and") -> str:
    """Join words with commas and a conjunction: "a, b and c"."""
    return f" {conjunction} ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))
