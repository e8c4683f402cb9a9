"""Texts compared: whether one holds a name, and in which form two spellings are equal."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable

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


# After these words a model names itself or its makers, in English and in Chinese.
_INTRODUCTION = re.compile(
    r"(?:\b(?:I am|I'm|[Mm]y name is|named|called"
    r"|(?:created|developed|made|built|trained|designed)\s+by)\s+(?:an?\s+|the\s+)?"
    r"|我是|我叫|由)"
    r"([A-Z][\w.&-]*(?:\s[A-Z][\w.&-]*){0,3})"
)
# What stands there too and is nobody's name.
_NO_NAMES = {"AI", "I", "English", "Chinese", "French"}
LEAST_MENTIONS = 2


def find_names(answers: Iterable[str]) -> tuple[str, ...]:
    """Find the names that a model gives itself and its makers in answers about itself.

    A name counts that stands in two answers at least: one may be a slip.
    """
    mentions = Counter(
        name
        for answer in answers
        for name in {match.rstrip(".") for match in _INTRODUCTION.findall(answer)}
    )
    return tuple(
        sorted(
            name
            for name, times in mentions.items()
            if times >= LEAST_MENTIONS and name not in _NO_NAMES
        )
    )


def is_json(text: str) -> bool:
    """Say whether a text is a JSON object or list."""
    try:
        return isinstance(json.loads(text), dict | list)
    except (ValueError, RecursionError):
        return False
