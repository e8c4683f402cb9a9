"""The subject of an examination: the persona's names, its base's, and how it is served."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from builder import parameters
from builder.bases import base
from builder.data import dataset, languages
from builder.data.dataset import Example
from builder.data.kinds import Kind
from builder.data.questions import Question
from builder.data.texts import normalise
from builder.llama import MAX_CONTEXT_TOKENS
from builder.manifest.gate_settings import Gates, Mode
from builder.manifest.identity import Identity

# An answer must end within so many tokens, or within twice the longest reply of the data.
LEAST_TOKENS = 192
# How many rows with tools are asked for their call.
MOST_CALLS = 12


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What the gates need to know about a persona."""

    kind: Kind
    gates: Gates
    names: dict[str, str]
    """By language, like the authors; empty if there is none."""
    authors: dict[str, str]
    base_words: tuple[str, ...]
    """The names of the base and its makers, except for those that are the persona's too."""
    trained: frozenset[str]
    """The questions of its data, normalised: they do not show whether it generalises."""
    own_languages: tuple[str, ...]
    """The languages in which its data speaks of the persona."""
    spoken: tuple[str, ...]
    """The languages of its data; English if they are none of the gates' languages."""
    is_json: bool
    """Whether its replies are JSON."""
    system: str | None
    """The served system text."""
    special_tokens: tuple[str, ...]
    """Those that no answer should hold."""
    sampling: dict[str, float]
    max_tokens: int
    calls: tuple[Question, ...] = ()
    """Conversations of its rows, up to a call."""
    too_long_calls: int = 0
    """The number of rows with calls that are too long to be asked."""
    has_derived_base: bool = False
    """Whether the base is of no known family, so that its names are found in its answers."""

    @property
    def own_words(self) -> list[str]:
        """All wordings of its name and author."""
        return list(dict.fromkeys([*self.names.values(), *self.authors.values()]))

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages in which it is asked other things."""
        return tuple(dict.fromkeys([*languages.list_common(), *self.spoken]))

    def name(self, language: str) -> str:
        """Give the name in a language."""
        return self.names.get(language, next(iter(self.names.values())))

    def author(self, language: str) -> str:
        """Give the author in a language."""
        return self.authors.get(language, next(iter(self.authors.values())))

    def mode(self, gate: str) -> Mode:
        """Give a gate's mode; gates that `[gates]` cannot set always stop the build."""
        return self.kind.mode(self.gates, gate) if self.gates.has(gate) else "stop"

    def serve(self, question: Question) -> Question:
        """Put the served system text before a question, unless it has its own."""
        if self.system is None or question.messages[0][0] == "system":
            return question
        return replace(question, messages=(("system", self.system), *question.messages))


@dataclass(frozen=True, kw_only=True)
class Source:
    """The sources of a subject: folders of the build, and tables of the manifest."""

    dataset: Path
    """The output of the data stage."""
    base: Path
    """The output of the base stage."""
    identity: Identity | None
    gates: Gates
    system: str | None
    """The system text that is served."""
    parameters: dict[str, Any]
    """Ollama parameters in the manifest."""
    max_tokens: int | None
    """Tokens within which an answer must end; None if the data decides."""


def describe(source: Source) -> Subject:
    """Collect what the gates need to know about a persona."""
    profile, family = dataset.read_profile(source.dataset), base.read(source.base).family
    names, authors = _read_names(source.identity)
    own_words = {*names.values(), *authors.values()}
    base_words = tuple(
        word
        for word in family.identity_words
        if not any(word.casefold() in own.casefold() for own in own_words)
    )
    parts = [
        dataset.read_examples(source.dataset / part) for part in (dataset.TRAIN, dataset.HELD_OUT)
    ]
    asked = [text for examples in parts for text in dataset.list_messages(examples, "user")]
    max_tokens = source.max_tokens or max(LEAST_TOKENS, 2 * profile.longest_reply_tokens)
    return Subject(
        kind=profile.kind,
        gates=source.gates,
        names=names,
        authors=authors,
        base_words=base_words,
        has_derived_base=family.is_derived,
        trained=frozenset(map(normalise, asked)),
        own_languages=tuple(sorted(profile.own_languages)),
        spoken=tuple(profile.languages) or (languages.DEFAULT,),
        is_json=profile.is_json,
        calls=list_calls(parts, MAX_CONTEXT_TOKENS - max_tokens),
        too_long_calls=count_too_long(parts, MAX_CONTEXT_TOKENS - max_tokens),
        system=source.system or None,
        special_tokens=tuple(profile.special_tokens),
        sampling=parameters.find_parameters(family, profile, source.parameters),
        max_tokens=max_tokens,
    )


def list_calls(parts: Sequence[Sequence[Example]], most_tokens: int) -> tuple[Question, ...]:
    """List conversations up to their first call, spread over the rows, held-out rows first.

    Args:
        parts: The rows that are trained on, and those that are held out.
        most_tokens: Longer rows leave no room for an answer, and are not asked.

    """
    chosen: list[Question] = []
    for examples in reversed(parts):
        asked = [_ask_for_call(one) for one in examples if len(one.input_ids) <= most_tokens]
        questions = list(dict.fromkeys(filter(None, asked)))
        room = MOST_CALLS - len(chosen)
        chosen += questions[:: -(-len(questions) // room)] if questions and room else []
    return tuple(chosen)


def count_too_long(parts: Sequence[Sequence[Example]], most_tokens: int) -> int:
    """Count the conversations with a call that are too long for `list_calls`."""
    every = (one for examples in parts for one in examples)
    asked = {_ask_for_call(one) for one in every if len(one.input_ids) > most_tokens}
    return len(asked - {None})


def _ask_for_call(example: Example) -> Question | None:
    messages = example.conversation
    at = next((at for at, message in enumerate(messages) if message.get("tool_calls")), 0)
    if not at:  # none, or nobody asked for it
        return None
    return Question(
        tuple((message["role"], message["content"]) for message in messages[:at]),
        "",
        tools=json.dumps(example.tools, ensure_ascii=False),
        calls=json.dumps(messages[at]["tool_calls"], ensure_ascii=False),
    )


def _read_names(identity: Identity | None) -> tuple[dict[str, str], dict[str, str]]:
    """Give the names and authors by language; empty without an identity."""
    if identity is None:
        return {}, {}
    codes = dict.fromkeys([*identity.languages(), *languages.list_common()])
    given = {code: identity.placeholders(code) for code in codes}
    names, authors = (
        {code: values[key] for code, values in given.items() if key in values}
        for key in ("name", "author")
    )
    return names, authors


def is_any_in(text: str, words: tuple[str, ...]) -> bool:
    """Say whether a text holds one of some words, ignoring case.

    A number or a Latin word counts only as a whole word.
    """
    return any(_is_in(text.casefold(), word.casefold()) for word in words)


def _is_in(text: str, word: str) -> bool:
    if not word.isalnum() or not word.isascii():
        return word in text
    return bool(re.search(rf"(?<![a-z0-9]){re.escape(word)}(?![0-9])", text))
