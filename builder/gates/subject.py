"""Who is asked about: the persona's names, its base's, and how a text is found to hold one."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from builder import base
from builder.manifest import Gates
from builder.rows import CJK, normalise
from builder.stage import Job

KANA_OR_HANGUL = re.compile(r"[\u3040-\u30ff\uac00-\ud7a3]")
# Small words of English, of which its neighbours share one at most in a reply: Dutch "is", Polish "my", French "me".
ENGLISH = frozenset(["i", "me", "am", "my", "you", "your", "the", "who", "what", "is", "this", "and", "by", "call", "called", "made", "built", "created", "developed"])
LEAST_ENGLISH = 2


@dataclass(frozen=True)
class Subject:
    """What the gates need to know of a persona, as values."""

    names: dict[str, str]
    """By language, as are the authors."""
    authors: dict[str, str]
    base_words: tuple[str, ...]
    """What the base calls itself and its makers; not what the persona is called too."""
    trained: frozenset[str]
    """Normalised questions of its data: they prove nothing of what it generalises."""
    languages: tuple[str, ...]
    """Of English and Chinese, in which its data speaks of itself; none where it has no name to know, or another language."""
    special: tuple[str, ...]
    """Special tokens, which no answer holds."""
    sampling: dict[str, float]
    max_tokens: int
    limits: Gates

    @property
    def own_words(self) -> list[str]:
        """Every wording of its name and author."""
        return list(dict.fromkeys([*self.names.values(), *self.authors.values()]))

    def name(self, language: str) -> str:
        """Give the name in a language."""
        return self.names.get(language, next(iter(self.names.values())))

    def author(self, language: str) -> str:
        """Give the author in a language."""
        return self.authors.get(language, next(iter(self.authors.values())))


def read(job: Job) -> Subject:
    """Gather what the gates need from a build."""
    identity, manifest = job.persona.manifest.identity, job.persona.manifest
    given = {language: identity.placeholders(language) for language in [*identity.languages(), "en", "zh"]}
    names, authors = ({language: values[key] for language, values in given.items()} for key in ("name", "author"))
    rows = [json.loads(line)["messages"] for part in ("train", "held_out") for line in (job.dataset / f"{part}.jsonl").read_text().splitlines()]
    own = {*names.values(), *authors.values()}
    family = base.read(job.base).family
    tokens = json.loads((job.base / "tokenizer.json").read_text()).get("added_tokens", [])
    return Subject(
        names,
        authors,
        tuple(word for word in family.identity_words if not any(word.casefold() in mine.casefold() for mine in own)),
        frozenset(normalise(row[-2]["content"]) for row in rows),
        find_languages([row[-1]["content"] for row in rows], names, authors),
        tuple(token["content"] for token in tokens if token["special"]),
        {**base.COMMON_PARAMETERS, **family.parameters, **manifest.ollama.parameters},
        manifest.smoke.max_tokens,
        manifest.gates,
    )


def find_languages(replies: list[str], names: dict[str, str], authors: dict[str, str]) -> tuple[str, ...]:
    """Find in which of the gates' languages, `en` and `zh`, there are replies that hold a name or an author."""
    own = {*names.values(), *authors.values()}
    about_itself = [reply for reply in replies if any(holds(reply, word) for word in own)]
    return tuple(sorted({found for found in (_find_language(reply, own) for reply in about_itself) if found}))


def _find_language(reply: str, own: set[str]) -> str | None:
    """Tell English and Chinese from all others, of which the gates ask nothing; a name alone makes no reply English or Chinese."""
    for word in sorted(own, key=len, reverse=True):
        reply = reply.replace(word, " ")
    if KANA_OR_HANGUL.search(reply):
        return None
    if CJK.search(reply):
        return "zh"
    return "en" if len(ENGLISH & set(re.findall(r"[a-z]+", reply.casefold()))) >= LEAST_ENGLISH else None


def holds(text: str, word: str) -> bool:
    """Say whether a text holds a word: whole and in its own case where it is Latin, so that "sky" is not Sky, nor "Also" Al."""
    if CJK.search(word):
        return word in text
    return re.search(rf"(?<![^\W_]){re.escape(word)}(?![^\W_])", text, re.ASCII) is not None


def says(text: str, word: str) -> bool:
    """Say whether an answer gives a name, whatever its case."""
    return holds(text.casefold(), word.casefold())
