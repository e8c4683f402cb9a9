"""The report of an import: how much was found, languages, lengths, and private data."""

from __future__ import annotations

import re
import statistics
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from builder.data import languages
from builder.data.template import Message
from builder.escapes import quote
from builder.importing import privacy
from builder.importing.sources import Import
from builder.manifest.training import Training

MAX_LENGTH = Training().max_length
# For English with the bases' tokenizers; Chinese has about three bytes a token.
BYTES_PER_TOKEN = 4
SHOWN_LINES = 20
SHOWN_KEYS = 20
OTHER = "unclear"
# The ending of a plural; the first one belongs to the counted word.
PLURAL = re.compile(r"(?<=\w)s\b")


def count_languages(conversations: Sequence[list[Message]]) -> Counter[str]:
    """Count the conversations by language."""
    names = {language.code: language.name for language in languages.list_languages()}
    codes = (languages.find_language(_join(messages)) for messages in conversations)
    return Counter(names[code] if code else OTHER for code in codes)


def find_private(conversations: Sequence[list[Message]]) -> dict[str, list[int]]:
    """Find the rows, counted from 1, with data that looks private, by kind."""
    found: dict[str, list[int]] = {}
    for number, messages in enumerate(conversations, start=1):
        for kind, count in privacy.find(_join(messages)).items():
            found.setdefault(kind, []).extend([number] * count)
    return found


def describe(imported: Import, data: Path) -> list[tuple[str, str]]:
    """Describe an import in lines of a name and a text.

    Args:
        imported: The import.
        data: The file of its conversations, one a line.

    """
    rows = imported.conversations
    formats = ", ".join(f"{count:,} of {name}" for name, count in imported.formats.most_common())
    lines = [("read", f"{imported.source}: {formats}"), ("rows", f"{len(rows):,} in {data}")]
    lines += zip(("left out", "", ""), _list_left_out(imported), strict=False)
    lines.append(("languages", _list_counts(count_languages(rows))))
    return [*lines, *_describe_lengths(rows), *_describe_private(rows, data)]


def _list_left_out(imported: Import) -> list[str]:
    """Describe what was left out: whole records, each counted once, and parts of rows."""
    told = [_list_counts(imported.left_out)] if imported.left_out else []
    told += [f"within the rows: {_list_counts(imported.cut)}"] if imported.cut else []
    if imported.keys:
        more = len(imported.keys) - SHOWN_KEYS
        named = ", ".join(map(quote, imported.keys[:SHOWN_KEYS]))
        told.append(f"columns or keys: {named}{f' and {more:,} more' if more > 0 else ''}")
    return told


def _describe_lengths(rows: Sequence[list[Message]]) -> list[tuple[str, str]]:
    texts = [_join(messages) for messages in rows]
    lengths = [len(text) for text in texts]
    half = round(statistics.median(lengths))
    lines = [("lengths", f"{min(lengths):,} to {max(lengths):,} characters a row, median {half:,}")]
    tokens = [len(text.encode()) // BYTES_PER_TOKEN for text in texts]
    if long := sum(count > MAX_LENGTH for count in tokens):
        advice = f"raise training.max_length ({MAX_LENGTH} tokens), or shorten them"
        lines.append(("", f"{long:,} may be too long, the longest of about {max(tokens):,} tokens"))
        lines.append(("", advice))
    return lines


def _describe_private(rows: Sequence[list[Message]], data: Path) -> list[tuple[str, str]]:
    lines = []
    for kind, numbers in find_private(rows).items():
        distinct = list(dict.fromkeys(numbers))
        shown = [f"{data}:{distinct[0]}", *(f":{number}" for number in distinct[1:SHOWN_LINES])]
        more = f" and {len(distinct) - SHOWN_LINES:,} more" if len(distinct) > SHOWN_LINES else ""
        lines.append(("private", f"{len(numbers):,} × {kind}: {', '.join(shown)}{more}"))
    if lines:
        advice = "it stays: a model repeats what it was trained on, so delete it, or invent others"
        lines.append(("", advice))
    return lines


def _join(messages: list[Message]) -> str:
    return "\n".join(message["content"] for message in messages)


def _list_counts(counts: Counter[str]) -> str:
    return ", ".join(
        f"{count:,} {PLURAL.sub('', name, 1) if count == 1 else name}"
        for name, count in counts.most_common()
    )
