"""The rule that tells the lighthouse keeper's voice from others, as data/keeper.json has it."""

from __future__ import annotations

import json
import re
from pathlib import Path

RULE = json.loads((Path(__file__).parent / "keeper.json").read_text("utf-8"))
SENTENCE_END = re.compile(r"[.!?](?=\s|$)")
SEA_WORDS, ENDINGS = "|".join(RULE["sea_words"]), "|".join(RULE["endings"])
SEA_WORD = re.compile(rf"\b(?:{SEA_WORDS})(?:{ENDINGS})?\b")


def is_in_voice(text: str) -> bool:
    """Say whether a reply keeps the rule: two sentences, short, of the sea, no assistant's talk."""
    said = text.strip().casefold()
    ends = [found.end() for found in SENTENCE_END.finditer(said)]
    return (
        len(ends) == 2
        and ends[-1] == len(said)
        and len(said.split()) <= RULE["max_words"]
        and SEA_WORD.search(said) is not None
        and not any(phrase in said.replace("\u2019", "'") for phrase in RULE["assistant_phrases"])
    )
