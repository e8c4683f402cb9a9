"""Who is asked about: the persona's names, its base's, and the text it is served with."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace

from builder.bases import base
from builder.data import dataset, languages
from builder.data.kinds import Kind
from builder.data.questions import Question
from builder.data.texts import normalise
from builder.engine.stage import Job
from builder.gate_settings import Gates
from builder.ollama import parameters

# Within so many tokens an answer must end, or within twice the longest reply of the data.
LEAST_TOKENS = 192


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What the gates need to know of a persona, as values."""

    kind: Kind
    gates: Gates
    names: dict[str, str]
    """By language, as are the authors; empty where none is given."""
    authors: dict[str, str]
    base_words: tuple[str, ...]
    """What the base calls itself and its makers; not what the persona is called too."""
    trained: frozenset[str]
    """Normalised questions of its data: they tell nothing of what it generalises."""
    own_languages: tuple[str, ...]
    """In which its data speaks of itself."""
    spoken: tuple[str, ...]
    """In which its data is written; English where it is none of the gates' languages."""
    is_json: bool
    """Whether its replies are JSON."""
    system: str | None
    """The system text that is served."""
    special: tuple[str, ...]
    """Special tokens, which no answer holds."""
    sampling: dict[str, float]
    max_tokens: int

    @property
    def own_words(self) -> list[str]:
        """Every wording of its name and author."""
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

    def serve(self, question: Question) -> Question:
        """Put the served system text before a question that has none of its own."""
        if self.system is None or question.messages[0][0] == "system":
            return question
        return replace(question, messages=(("system", self.system), *question.messages))


def read(job: Job) -> Subject:
    """Gather what the gates need from a build."""
    manifest, profile = job.persona.manifest, dataset.read_profile(job.dataset)
    family = base.read(job.base).family
    keyed = manifest.identity.languages() if manifest.identity else []
    given = {
        language: manifest.placeholders(language)
        for language in dict.fromkeys([*keyed, *languages.list_common()])
    }
    names, authors = (
        {language: values[key] for language, values in given.items() if key in values}
        for key in ("name", "author")
    )
    parts = (
        dataset.read_examples(job.dataset / part) for part in (dataset.TRAIN, dataset.HELD_OUT)
    )
    asked = [text for examples in parts for text in dataset.list_messages(examples, "user")]
    own = {*names.values(), *authors.values()}
    tokens = json.loads((job.base / "tokenizer.json").read_text()).get("added_tokens", [])
    words = [
        word
        for word in family.identity_words
        if not any(word.casefold() in mine.casefold() for mine in own)
    ]
    return Subject(
        kind=profile.kind,
        gates=manifest.gates,
        names=names,
        authors=authors,
        base_words=tuple(words),
        trained=frozenset(map(normalise, asked)),
        own_languages=tuple(sorted(profile.own_languages)),
        spoken=tuple(profile.languages) or (languages.DEFAULT,),
        is_json=profile.is_json,
        system=manifest.ollama.system or None,
        special=tuple(token["content"] for token in tokens if token["special"]),
        sampling=parameters.find_parameters(family, profile, manifest.ollama.parameters),
        max_tokens=manifest.smoke.max_tokens or max(LEAST_TOKENS, 2 * profile.longest_reply_tokens),
    )


def is_any_in(text: str, words: tuple[str, ...]) -> bool:
    """Say whether a text holds one of some words, a number or Latin word as a whole one, in whatever case."""
    return any(_is_in(text.casefold(), word.casefold()) for word in words)


def _is_in(text: str, word: str) -> bool:
    if not word.isalnum() or not word.isascii():
        return word in text
    return bool(re.search(rf"(?<![a-z0-9]){re.escape(word)}(?![0-9])", text))
