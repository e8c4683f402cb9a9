"""The types of values in persona.toml, with their checks."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Discriminator, Field, GetCoreSchemaHandler, Tag
from pydantic_core import core_schema

from builder.escapes import quote

# The name in Ollama, `[[host/]namespace/]model[:tag]`: types/model/name.go of
# github.com/ollama/ollama 0.34.2.
MODEL_PATTERN = re.compile(
    r"(?:(?:[A-Za-z0-9_][A-Za-z0-9_.:-]{0,349}/)?"  # host
    r"[A-Za-z0-9_][A-Za-z0-9_-]{0,79}/)?"  # namespace
    r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}"  # model
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}))?"
)
# Tags that Ollama reads as a place (internal/modelref/modelref.go): `nova:local` is shown and
# deleted as `nova`, and `nova:cloud` is on another machine.
PLACE_PATTERN = re.compile(r"local|cloud|.*-cloud", re.IGNORECASE)


# Invisible letters and signs: fillers of Hangul, and the empty pattern of Braille.
BLANKS = "\u115f\u1160\u2800\u3164\uffa0"
# Invisible characters of the category of marks: the grapheme joiner, and two vowels of Khmer.
INVISIBLE_MARKS = "\u034f\u17b4\u17b5"
# Joiners of emoji and of Persian and Indic letters. All other format characters are invisible or
# change the direction of the text.
JOINERS = "\u200c\u200d"
# The scripts whose letters change their form with a joiner, as Unicode's names begin.
JOINED_SCRIPTS = (
    *("ARABIC", "SYRIAC", "MANDAIC", "NKO", "MONGOLIAN", "DEVANAGARI", "BENGALI", "GURMUKHI"),
    *("GUJARATI", "ORIYA", "TAMIL", "TELUGU", "KANNADA", "MALAYALAM", "SINHALA", "KHMER"),
    *("MYANMAR", "TIBETAN"),
)
VIRAMA = 9  # the combining class of the sign that joins two consonants
LONGEST_NAME = 200


def is_visible(text: str) -> bool:
    """Say whether a text shows anything but blanks, invisible or combining characters."""
    kinds = (unicodedata.category(character) for character in text if character not in BLANKS)
    return any(kind[0] in "LNPS" or kind in ("Cn", "Co") for kind in kinds)


def find_invisible(text: str) -> str | None:
    """Find the first character of a name that nobody sees, blanks aside."""
    for at, character in enumerate(text):
        kind = unicodedata.category(character)
        if character in JOINERS:
            if not _joins(text[at - 1 : at], text[at + 1 : at + 2]):
                return character
        elif character in BLANKS + INVISIBLE_MARKS or kind in ("Cc", "Cf", "Cs", "Zl", "Zp"):
            return character
    return None


def _joins(before: str, after: str) -> bool:
    """Say whether a joiner changes what is shown of the characters beside it, "" for none."""
    if before and unicodedata.combining(before) == VIRAMA:
        return True
    if not before or not after:
        return False
    if unicodedata.category(after) == "So":
        return unicodedata.category(before) in ("So", "Sk") or before == "\ufe0f"
    return all(unicodedata.name(one, "").startswith(JOINED_SCRIPTS) for one in (before, after))


def _is_visible(text: str) -> str:
    """Refuse a text that shows nothing: of blanks, invisible or combining characters alone."""
    if "\0" in text:  # which ends a text in C
        msg = "contains the character U+0000, expected text"
        raise ValueError(msg)
    if not is_visible(text):
        msg = "is blank, expected text"
        raise ValueError(msg)
    return text


def _is_visible_or_empty(text: str) -> str:
    return text and _is_visible(text)


def _is_name(text: str) -> str:
    """Refuse a name that is too long or has invisible characters."""
    _is_visible(text)
    if len(text) > LONGEST_NAME:
        msg = f"has {len(text):,} characters, expected at most {LONGEST_NAME}"
        raise ValueError(msg)
    if character := find_invisible(text):
        what = f"contains the invisible character U+{ord(character):04X}"
        raise ValueError(f"{what}, expected a name of one line as it is written")
    if text != text.strip():
        msg = f"is {text!r}, expected a name without blanks at its ends"
        raise ValueError(msg)
    return text


def _is_inside_folder(path: str) -> str:
    """Refuse a path that leaves the persona's folder."""
    if Path(path).is_absolute() or ".." in Path(path).parts or "\0" in path:
        msg = f"{quote(path)} leaves the persona's folder, expected a path inside it"
        raise ValueError(msg)
    return _is_visible(path)


def _is_model_name(name: str) -> str:
    """Refuse a name that Ollama would not accept."""
    match = MODEL_PATTERN.fullmatch(name)
    if match is None:
        form = "model, namespace/model or host/namespace/model, and an optional ':tag'"
        form += ", each of letters, digits, '_', '.' and '-'"
        msg = f"{quote(name)} is not a name Ollama takes, expected {form}"
        raise ValueError(msg)
    if PLACE_PATTERN.fullmatch(match["tag"] or ""):
        msg = f"{quote(name)} has a tag that tells Ollama where a model runs, expected another tag"
        raise ValueError(msg)
    return name


Text = Annotated[str, AfterValidator(_is_visible)]
MaybeText = Annotated[str, AfterValidator(_is_visible_or_empty)]
Name = Annotated[str, AfterValidator(_is_name)]
# TOML has lists, not tuples.
Texts = Annotated[tuple[Text, ...], Field(strict=False)]
# transformers seeds numpy too, whose seeds have 32 bits.
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
# More than the steps, rows or accumulated passes of any training.
Count = Annotated[int, Field(ge=1, le=1_000_000)]
# The path of a data file.
InnerPath = Annotated[str, AfterValidator(_is_inside_folder)]
ModelName = Annotated[str, AfterValidator(_is_model_name)]


@dataclass(frozen=True)
class OneOf:
    """A text that is one of some names, like a `Literal` made at run time."""

    names: tuple[str, ...]

    def __get_pydantic_core_schema__(
        self, _source: Any, _handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Make the schema of a literal."""
        return core_schema.literal_schema(list(self.names))


def _tell_text_from_table(value: Any) -> str:
    return "<table>" if isinstance(value, dict) else "<text>"


TextByLanguage = Annotated[
    Annotated[Name, Tag("<text>")] | Annotated[dict[str, Name], Tag("<table>")],
    Discriminator(_tell_text_from_table),
]
