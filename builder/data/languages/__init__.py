"""The languages of the gates, one folder each: their recognition and question files."""

from __future__ import annotations

import collections
import functools
import hashlib
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from builder import files
from builder.data.texts import holds
from builder.errors import DataError
from builder.tables import Table, list_problems

FOLDER = Path(__file__).parent
RECORD = "language.toml"
# The language to use if a text's or a persona's language is none of these.
DEFAULT = "en"
# Kana and hangul: a Japanese or Korean text with Chinese characters is not Chinese.
KANA_OR_HANGUL = re.compile(r"[\u3040-\u30ff\uac00-\ud7a3]")
# A text in a related language has at most one of a language's function words.
LEAST_WORDS = 2
# One or two texts in a language do not make it a language of the persona.
LEAST_SHARE = 0.1


def split_words(text: Any) -> Any:
    """Split a text into its distinct words, case-folded: "weiß" becomes "weiss"."""
    if not isinstance(text, str):
        return text
    return frozenset(re.findall(r"[^\W\d_]+", text.casefold()))


class Language(Table):
    """The record of a language in `language.toml`; the folder's name is its code."""

    code: str = Field(pattern=r"^[a-z]{2,3}$")
    name: str = Field(min_length=1)
    """The name in English."""
    own_names: tuple[str, ...] = ()
    """Its names in the language itself, the most usual first."""
    conjunction: str = ""
    """The conjunction before the last item of a list, such as "and"."""
    greeting: str = Field(min_length=1)
    """A greeting, such as "Hello"."""
    identity_question: str = Field(min_length=1)
    """The question "Who are you?"."""
    sentence_end: re.Pattern[str]
    """The end of a sentence, such as a full stop."""
    script: re.Pattern[str] | None = None
    """Characters that only this language uses; without them `words` are used."""
    words: Annotated[frozenset[str], BeforeValidator(split_words)] = frozenset()
    """Function words that no other language here has, and related languages have at most one of."""
    examples: tuple[tuple[str, str], ...] = ()
    """Questions and answers, used as the first rows of a new persona."""
    is_common: bool = False
    """Whether every persona is asked unrelated questions in it."""

    @model_validator(mode="after")
    def _is_recognised_one_way(self) -> Language:
        if (self.script is None) == (not self.words):
            msg = "a language needs to be recognised, expected one of script and words"
            raise ValueError(msg)
        return self

    def count_matches(self, text: str) -> int:
        """Count the distinct function words in a text; one in the language's script has enough."""
        if self.script:
            is_written = self.script.search(text) and not KANA_OR_HANGUL.search(text)
            return LEAST_WORDS if is_written else 0
        return len(self.words & split_words(text))


@functools.cache
def list_languages() -> tuple[Language, ...]:
    """List the languages that have a folder here, in the order of their codes.

    Raises:
        DataError: A record is wrong.

    """
    return tuple(read(path.parent) for path in sorted(FOLDER.glob(f"*/{RECORD}")))


def read(folder: Path) -> Language:
    """Read a language's record.

    Raises:
        DataError: It is wrong; the error has all mistakes.

    """
    path = folder / RECORD
    try:
        table = tomllib.loads(files.read_text(path))
        return Language.model_validate({"code": folder.name, **table})
    except ValidationError as error:
        raise DataError(*list_problems(str(path), Language, error)) from None
    except ValueError as error:
        msg = f"{path}: {error}, expected a TOML file in UTF-8"
        raise DataError(msg) from None


def list_common() -> list[str]:
    """List the codes of the languages in which every persona is asked unrelated questions."""
    return [language.code for language in list_languages() if language.is_common]


def find_greeting(code: str) -> str:
    """Give the greeting of a language."""
    return _find(code).greeting


def find_identity_question(code: str) -> str:
    """Give the question "Who are you?" in a language."""
    return _find(code).identity_question


def find_name(code: str) -> str:
    """Give a language's name in English."""
    return _find(code).name


def find_language(text: str) -> str | None:
    """Recognise the language of a text; None if it is none of these.

    Scripts are compared before words, since a Chinese text may hold English names.
    """
    by_script = [language for language in list_languages() if language.script]
    by_words = [language for language in list_languages() if not language.script]
    for languages in (by_script, by_words):
        counts = {language.code: language.count_matches(text) for language in languages}
        code = max(counts, key=lambda code: counts[code], default=None)
        if code and counts[code] >= LEAST_WORDS:
            return code
    return None


def count_languages(texts: Iterable[str]) -> list[str]:
    """List the languages of at least a tenth of the texts, the most frequent first."""
    counts = collections.Counter(filter(None, map(find_language, texts)))
    return [code for code, count in counts.most_common() if count >= LEAST_SHARE * counts.total()]


def count_own_languages(texts: Iterable[str], words: Iterable[str]) -> list[str]:
    """List the languages of the texts that hold one of these names.

    The names are removed first: a name in Chinese does not make a text Chinese.
    """
    names = sorted(words, key=len, reverse=True)
    own = [text for text in texts if any(holds(text, name) for name in names)]
    return count_languages(_without(text, names) for text in own)


def find_first_sentence(text: str) -> str:
    """Give the first complete sentence of a text; "" if there is none."""
    text = text.strip()
    end = _find(find_language(text) or DEFAULT).sentence_end.search(text, 1)
    return text[: end.end()].strip() if end else ""


def list_question_files(name: str) -> list[tuple[str, Path]]:
    """List the question files of that name with their languages' codes; some have none."""
    paths = [
        (language.code, FOLDER / language.code / f"{name}.jsonl") for language in list_languages()
    ]
    return [(code, path) for code, path in paths if path.is_file()]


def hash_questions(*names: str) -> str:
    """Hash the question files of every language, for stamps and cache keys.

    Args:
        names: The names of the files, such as `replay`; all files by default.

    Returns:
        Twelve hexadecimal digits, which change with a file's content, name or language.

    """
    digest = hashlib.sha256()
    for path in sorted(FOLDER.glob("*/*.jsonl")):
        if not names or path.stem in names:
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            digest.update(f"{path.parent.name}/{path.name} {content}\n".encode())
    return digest.hexdigest()[:12]


def _find(code: str) -> Language:
    return next(language for language in list_languages() if language.code == code)


def _without(text: str, words: list[str]) -> str:
    for word in words:
        text = text.replace(word, " ")
    return text
