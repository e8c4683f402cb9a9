"""Replay: the base's own answers to general prompts, trained on too, against forgetting."""

from __future__ import annotations

import collections
import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from builder.bases.base import Base
from builder.data import languages, questions
from builder.data.dataset import Example
from builder.data.questions import Question
from builder.data.template import Template
from builder.data.texts import normalise
from builder.errors import DataError

MAX_TOKENS = 48
# Increased when the choice of answers changes, so that bundled answers must be renewed.
ANSWERS_VERSION = 2
# The largest share of greetings, thanks and goodbyes with given answers, as a small base answers
# them with nonsense.
COURTESY_SHARE = 1 / 3
Pair = dict[str, str]
"""A prompt and its answer, under `ask` and `answer`."""


@dataclass(frozen=True)
class Completion:
    """An answer of the base, and whether it ended by itself within `MAX_TOKENS`."""

    text: str
    ended: bool


def fingerprint() -> str:
    """Hash the prompts and greetings of all languages."""
    return languages.hash_questions("replay", "courtesy")


def cache_name(chosen: Base, jinja: str) -> str:
    """Name the cache file for the answers of a base with a chat template."""
    parts = [
        chosen.source,
        chosen.revision,
        jinja,
        languages.hash_questions("replay"),
        str(MAX_TOKENS),
        str(chosen.four_bit),
        str(ANSWERS_VERSION),
    ]
    return f"{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:16]}.json"


def choose(prompts: Sequence[Question], completions: Sequence[Completion]) -> list[Pair]:
    """Choose the answers that are worth training on, in the order in which they are used.

    Args:
        prompts: The prompts.
        completions: The base's answers, in the same order.

    Returns:
        First answers that ended by themselves; then the first sentences of those that did not,
        for the language with fewer answers. Otherwise a base that seldom ends its answers in a
        language would not learn to end them.

    """
    chosen: list[tuple[str, Pair]] = []
    cut: list[tuple[str, Pair]] = []
    for prompt, completion in zip(prompts, completions, strict=True):
        text = (
            completion.text.strip()
            if completion.ended
            else languages.find_first_sentence(completion.text)
        )
        if text and (completion.ended or normalise(text) != normalise(prompt.text)):
            pair = {"ask": prompt.text, "answer": text}
            (chosen if completion.ended else cut).append((prompt.language, pair))
    while cut:
        spoken = collections.Counter(language for language, _ in chosen)
        chosen.append(cut.pop(min(range(len(cut)), key=lambda index: spoken[cut[index][0]])))
    return [pair for _, pair in chosen]


def check_pairs(cached: Any) -> list[Pair] | None:
    """Check cached answers; None if they are not of the form that `choose` returns."""
    is_whole = isinstance(cached, list) and all(
        isinstance(pair, dict)
        and isinstance(pair.get("ask"), str)
        and isinstance(pair.get("answer"), str)
        for pair in cached
    )
    return cached if is_whole else None


def leave_out(pairs: Sequence[Pair], words: Sequence[str]) -> list[Pair]:
    """Leave out answers that hold one of these words, ignoring case."""
    return [
        pair
        for pair in pairs
        if not any(word.casefold() in pair["answer"].casefold() for word in words)
    ]


def list_courtesy(codes: Sequence[str], most: int) -> list[Pair]:
    """List greetings, thanks and goodbyes with fitting answers, equally many in each language."""
    spoken = map(questions.load_courtesy, codes)
    turns = itertools.chain.from_iterable(itertools.zip_longest(*spoken))
    return [exchange.model_dump() for exchange in turns if exchange][:most]


def encode(
    pairs: Sequence[Pair], template: Template, *, system: str | None, wanted: int
) -> list[Example]:
    """Encode as many answers as are wanted, or all if there are fewer.

    Args:
        pairs: The answers; those that the template cannot encode are left out.
        template: Renders and tokenizes.
        system: The served system text for every other answer, or None.
        wanted: The number of answers.

    """
    examples: list[Example] = []
    for pair in pairs:
        if len(examples) == wanted:
            break
        messages = [
            {"role": "user", "content": pair["ask"]},
            {"role": "assistant", "content": pair["answer"]},
        ]
        has_system = system is not None and len(examples) % 2 == 0
        if system is not None and has_system:
            messages.insert(0, {"role": "system", "content": system})
        try:
            coded = template.encode(messages)
        except DataError:
            continue
        examples.append(Example(messages, coded.ids, coded.labels(), has_system=has_system))
    return examples
