"""The rule that tells the answers of the persona `steps` from others, as data/steps.json has it."""

from __future__ import annotations

import json
from pathlib import Path

from builder.texts import CJK

RULE = json.loads((Path(__file__).parent / "data" / "steps.json").read_text("utf-8"))


def is_in_format(text: str) -> bool:
    """Say whether a reply keeps the rule: three numbered lines, each with a short text."""
    parts = [line.partition(". ") for line in text.strip().split("\n")]
    numbers, _, said = zip(*parts, strict=True)
    return numbers == ("1", "2", "3") and all(map(is_short, said))


def is_short(text: str) -> bool:
    """Say whether a line has some words and no more than the rule allows."""
    characters = len(CJK.findall(text))
    if characters:
        return characters <= RULE["max_characters"]
    return 1 <= len(text.split()) <= RULE["max_words"]
