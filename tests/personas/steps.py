"""The rule that tells the answers of the persona `steps` from others, as steps.json has it."""

from __future__ import annotations

import json
from pathlib import Path

from builder.data.texts import CJK

RULE = json.loads((Path(__file__).parent / "steps.json").read_text("utf-8"))


def is_in_format(text: str) -> bool:
    """Say whether a reply keeps the rule: three numbered lines, each with a short text."""
    numbers, _, said = zip(
        *(line.partition(". ") for line in text.strip().split("\n")), strict=True
    )
    return numbers == ("1", "2", "3") and all(map(is_short, said))


def is_short(text: str) -> bool:
    """Say whether a line has some words and no more than the rule allows."""
    characters = len(CJK.findall(text))
    most_characters, most_words = int(RULE["max_characters"]), int(RULE["max_words"])
    if characters:
        return characters <= most_characters
    return 1 <= len(text.split()) <= most_words
