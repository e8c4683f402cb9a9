"""Compares texts: whether one holds a name, and whether two are the same question."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence

CJK = re.compile(r"[\u3400-\u9fff]")


def normalise(text: str) -> str:
    """Remove case and punctuation, so that two spellings of a question are equal."""
    return re.sub(r"[\W_]+", " ", text.casefold()).strip() or text


def holds(text: str, word: str) -> bool:
    """Say whether a text holds a word.

    A Latin word must match as a whole and in its case: "sky" is not Sky, and "Also" is not Al.
    """
    if CJK.search(word):
        return word in text
    return re.search(rf"(?<![^\W_]){re.escape(word)}(?![^\W_])", text, re.ASCII) is not None


def says(text: str, word: str) -> bool:
    """Say whether an answer gives a name, ignoring case."""
    return holds(text.casefold(), word.casefold())


# The words before the names of a model or its makers, in English and Chinese.
_INTRODUCTION = re.compile(
    r"(?:\b(?:I am|I'm|[Mm]y name is|named|called"
    r"|(?:created|developed|made|built|trained|designed)\s+by)\s+(?:an?\s+|the\s+)?"
    r"|我是|我叫|由)"
    r"([A-Z][\w.&-]*(?:\s[A-Z][\w.&-]*){0,3})"
)
# Words that may follow them and are not names.
_NO_NAMES = {"AI", "I", "English", "Chinese", "French"}
LEAST_MENTIONS = 2


def find_names(answers: Iterable[str]) -> tuple[str, ...]:
    """Find the names of a model and its makers in its answers about itself.

    A name must be in at least two answers.
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


# Replies of which this share begins with one word have a form; fewer replies show none.
LEAST_OPENING_SHARE, LEAST_REPLIES = 0.9, 10


def first_word(text: str) -> str:
    """Give what stands before the first space of a text."""
    return (text.split(maxsplit=1) or [""])[0]


def find_opening(replies: Sequence[str]) -> str | None:
    """Find the word that at least nine tenths of the replies begin with, if there is one."""
    if len(replies) < LEAST_REPLIES:
        return None
    word, times = Counter(map(first_word, replies)).most_common(1)[0]
    return word if times >= LEAST_OPENING_SHARE * len(replies) else None


def is_json(text: str) -> bool:
    """Say whether a text is a JSON object or list."""
    try:
        return isinstance(json.loads(text), dict | list)
    except (ValueError, RecursionError):
        return False
