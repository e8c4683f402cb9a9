"""Texts compared: whether one holds a name, and in which form two spellings are equal."""

from __future__ import annotations

import json
import re

CJK = re.compile(r"[\u3400-\u9fff]")


def normalise(text: str) -> str:
    """Take case and punctuation off, so that two spellings of one question are equal."""
    return re.sub(r"[\W_]+", " ", text.casefold()).strip() or text


def holds(text: str, word: str) -> bool:
    """Say whether a text holds a word.

    A Latin one counts whole and in its own case: "sky" is not Sky, nor "Also" Al.
    """
    if CJK.search(word):
        return word in text
    return re.search(rf"(?<![^\W_]){re.escape(word)}(?![^\W_])", text, re.ASCII) is not None


def says(text: str, word: str) -> bool:
    """Say whether an answer gives a name, whatever its case."""
    return holds(text.casefold(), word.casefold())


def is_json(text: str) -> bool:
    """Say whether a text is a JSON object or list."""
    try:
        return isinstance(json.loads(text), dict | list)
    except (ValueError, RecursionError):
        return False
