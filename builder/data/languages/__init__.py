"""The languages of the gates, a folder each: how a text in one is recognised, and its files."""

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
# Of a text, and of a persona, whose language is none of those here.
DEFAULT = "en"
# Kana and hangul: a text in Japanese or Korean is not Chinese because it has Chinese characters.
KANA_OR_HANGUL = re.compile(r"[\u3040-\u30ff\uac00-\ud7a3]")
# A text in a neighbouring language holds one of a language's function words at most.
LEAST_WORDS = 2
# A text or two in another language do not make it one of the persona's.
LEAST_SHARE = 0.1


def split_words(text: Any) -> Any:
    """Split a text into its distinct words as they are compared: "weiß" is "weiss"."""
    if not isinstance(text, str):
        return text
    return frozenset(re.findall(r"[^\W\d_]+", text.casefold()))


class Language(Table):
    """What `language.toml` says of a language; the folder's name is its code."""

    code: str = Field(pattern=r"^[a-z]{2,3}$")
    name: str = Field(min_length=1)
    """In English."""
    own_names: tuple[str, ...] = ()
    """As its speakers call it, the most usual first."""
    conjunction: str = ""
    """What stands before the last item of a list, such as "and"."""
    greeting: str = Field(min_length=1)
    """What people type first."""
    identity_question: str = Field(min_length=1)
    """Who one talks to."""
    sentence_end: re.Pattern[str]
    """What ends a sentence, with its full stop."""
    script: re.Pattern[str] | None = None
    """A character that only this language is written with, or else `words`."""
    words: Annotated[frozenset[str], BeforeValidator(split_words)] = frozenset()
    """Function words that no other language here has, and its neighbours have one of at most."""
    examples: tuple[tuple[str, str], ...] = ()
    """A question and its answer each, which a new persona's own rows begin with."""
    is_common: bool = False
    """Whether every persona is asked other things in it, whichever language it speaks."""

    @model_validator(mode="after")
    def _is_recognised_one_way(self) -> Language:
        if (self.script is None) == (not self.words):
            msg = "a language needs to be recognised, expected one of script and words"
            raise ValueError(msg)
        return self

    def count_matches(self, text: str) -> int:
        """Count the different function words in a text; one in the language's script has enough."""
        if self.script:
            is_written = self.script.search(text) and not KANA_OR_HANGUL.search(text)
            return LEAST_WORDS if is_written else 0
        return len(self.words & split_words(text))


@functools.cache
def list_languages() -> tuple[Language, ...]:
    """List the languages that have a folder here, in the order of their codes.

    Raises:
        DataError: A record is not as it must be.

    """
    return tuple(read(path.parent) for path in sorted(FOLDER.glob(f"*/{RECORD}")))


def read(folder: Path) -> Language:
    """Read a language's record.

    Raises:
        DataError: It is not as it must be; all of its mistakes at once.

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
    """List the codes of the languages in which every persona is asked other things."""
    return [language.code for language in list_languages() if language.is_common]


def find_greeting(code: str) -> str:
    """Give what people type first in a language."""
    return _find(code).greeting


def find_identity_question(code: str) -> str:
    """Give the question of who one talks to, in a language."""
    return _find(code).identity_question


def find_language(text: str) -> str | None:
    """Give the code of a text's language; None where it is none of those here.

    A language's own script decides before words do, since a text of Chinese may hold English names.
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
    """List the languages that a tenth of the texts or more are in, the most frequent first."""
    counts = collections.Counter(filter(None, map(find_language, texts)))
    return [code for code, count in counts.most_common() if count >= LEAST_SHARE * counts.total()]


def count_own_languages(texts: Iterable[str], words: Iterable[str]) -> list[str]:
    """List the languages of the texts that hold one of some names.

    The names are taken out first: one that is written in Chinese makes no text Chinese.
    """
    names = sorted(words, key=len, reverse=True)
    own = [text for text in texts if any(holds(text, name) for name in names)]
    return count_languages(_without(text, names) for text in own)


def find_first_sentence(text: str) -> str:
    """Give the first whole sentence of a text; nothing where the text stops before its end."""
    text = text.strip()
    end = _find(find_language(text) or DEFAULT).sentence_end.search(text, 1)
    return text[: end.end()].strip() if end else ""


def list_question_files(name: str) -> list[tuple[str, Path]]:
    """List the files of some questions by their languages' codes; not every language has each."""
    paths = [
        (language.code, FOLDER / language.code / f"{name}.jsonl") for language in list_languages()
    ]
    return [(code, path) for code, path in paths if path.is_file()]


def hash_questions(*names: str) -> str:
    """Hash the question files of every language, for stamps and cache keys.

    Args:
        names: Which files, such as `replay`; all of them where none is named.

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
