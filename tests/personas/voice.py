"""The rules that tell a persona's voice from others, one for each persona, as voices/NAME.json."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "voices"
SENTENCE_END = re.compile(r"[.!?](?=\s|$)")


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What each reply in a voice keeps, and unseen questions to ask for one.

    Nothing may be chosen by the answers to `blind`, which was written by somebody who saw no row.
    """

    rule: str
    sentences: tuple[int, int]
    max_words: int
    words: tuple[str, ...]
    endings: tuple[str, ...]
    assistant_phrases: tuple[str, ...]
    questions: tuple[str, ...]
    blind: tuple[str, ...]

    def is_met_by(self, text: str) -> bool:
        """Say whether a reply is whole, short, holds one of the words and no assistant's phrase."""
        reply = text.strip().casefold().replace("\u2019", "'")
        ends = [found.end() for found in SENTENCE_END.finditer(reply)]
        fewest, most = self.sentences
        return (
            fewest <= len(ends) <= most
            and ends[-1] == len(reply)
            and len(reply.split()) <= self.max_words
            and re.search(self._word, reply) is not None
            and not any(phrase in reply for phrase in self.assistant_phrases)
        )

    @property
    def _word(self) -> str:
        return rf"\b(?:{'|'.join(self.words)})(?:{'|'.join(self.endings)})?\b"


def has_rule(name: str) -> bool:
    """Say whether a persona's voice has a rule."""
    return (FOLDER / f"{name}.json").is_file()


def read_rule(name: str) -> Rule:
    """Read the rule of a persona's voice."""
    table = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    lists = {key: tuple(value) for key, value in table.items() if isinstance(value, list)}
    return Rule(**{**table, **lists})
