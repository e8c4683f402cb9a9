"""The languages that gates ask in, and how a reply in one is told from its neighbours."""

from __future__ import annotations

import collections
import re
from collections.abc import Iterable
from dataclasses import dataclass

from builder.data.texts import holds

KANA_OR_HANGUL = re.compile(r"[\u3040-\u30ff\uac00-\ud7a3]")
# So many different words of a language tell a reply in it: its neighbours share one at most.
LEAST_WORDS = 2
# A text or two in another language do not make it one of the persona's.
LEAST_SHARE = 0.1
ENGLISH = "i me am my you your the who what is this and by call called made built created developed"
FRENCH = "je j suis est c m moi mon ma vous votre pour parlez par appelle appeler créé créée fait faite développé développée entraîné entraînée auteur"


@dataclass(frozen=True)
class Language:
    """A language: its code, what people type first, and its script or else some of its function words."""

    code: str
    greeting: str
    script: re.Pattern[str] | None = None
    words: frozenset[str] = frozenset()

    def is_language_of(self, text: str) -> bool:
        """Say whether a text is in this language."""
        if self.script:
            return bool(self.script.search(text)) and not KANA_OR_HANGUL.search(text)
        said = set(re.findall(r"[^\W\d_]+", text.casefold()))
        return len(self.words & said) >= LEAST_WORDS


LANGUAGES = (
    Language("zh", "你好", script=re.compile(r"[\u3400-\u9fff]")),
    Language(
        "en",
        "Hello",
        words=frozenset(ENGLISH.split()),
    ),
    Language(
        "fr",
        "Bonjour",
        words=frozenset(FRENCH.split()),
    ),
)


def find_greeting(code: str) -> str:
    """Give what people type first in a language."""
    return next(language.greeting for language in LANGUAGES if language.code == code)


def find_language(text: str) -> str | None:
    """Give the code of a text's language; None where it is none of the table's."""
    return next((language.code for language in LANGUAGES if language.is_language_of(text)), None)


def count_languages(texts: Iterable[str]) -> list[str]:
    """List the languages that a tenth of the texts or more are in, the most frequent first."""
    counts = collections.Counter(filter(None, map(find_language, texts)))
    return [code for code, count in counts.most_common() if count >= LEAST_SHARE * counts.total()]


def count_own_languages(texts: Iterable[str], words: Iterable[str]) -> list[str]:
    """List the languages in which texts hold a name; the name alone makes no text English or Chinese."""
    names = sorted(words, key=len, reverse=True)
    return count_languages(
        _without(text, names) for text in texts if any(holds(text, name) for name in names)
    )


def _without(text: str, words: list[str]) -> str:
    for word in words:
        text = text.replace(word, " ")
    return text
