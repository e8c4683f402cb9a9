"""Prepares rows for training: encodes, splits and profiles them, and applies the schedule."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from builder import progress
from builder.bases import families
from builder.command import command
from builder.data import dataset, languages
from builder.data.dataset import Example, Profile
from builder.data.kinds import LEAST_JSON_SHARE, Kind, recognise
from builder.data.rows import Row
from builder.data.schedule import Schedule
from builder.data.template import Message, Template
from builder.data.texts import is_json
from builder.errors import DataError
from builder.tables import tell_alike

REPORT_EVERY_ROWS = 500


@dataclass(frozen=True)
class EncodedRows:
    """Encoded rows, without and with the served system text."""

    plain: list[Example]
    with_system: list[Example]
    """The same rows with the served system text, if there is one and a row has none of its own."""


def encode(
    rows: Sequence[Row],
    problems: list[str],
    template: Template,
    *,
    system: str | None,
    max_length: int,
) -> EncodedRows:
    """Encode rows.

    Args:
        rows: The rows that could be read.
        problems: The problems of other rows.
        template: Renders and tokenizes.
        system: The served system text to train with, or None.
        max_length: The most tokens of a row.

    Raises:
        DataError: Rows could not be read or cannot be trained on; the error has all problems.
        ToolError: The base's chat template exceeds the limits.

    """
    template.check_limits([row.messages for row in rows], [row.tools for row in rows])
    plain = _encode_plain(rows, problems, template, max_length)
    if system is None:
        return EncodedRows(plain, plain)
    return EncodedRows(plain, _add_system(rows, plain, system, template, max_length))


def profile(
    encoded: EncodedRows,
    template: Template,
    *,
    own_words: Sequence[str],
    kind_name: str | None,
    own: int,
    packed: int,
    plan: Callable[[Kind, int, int], Schedule],
) -> Profile:
    """Make the profile of the rows.

    Args:
        encoded: All rows, including held-out ones.
        template: The chat template, for its special tokens.
        own_words: All wordings of the name and the author.
        kind_name: The kind in the manifest, or None.
        own: The number of rows of the persona's own files that are trained on.
        packed: The number of rows of packs.
        plan: Makes the schedule for a kind and these two numbers.

    """
    examples = encoded.plain
    rows_of_replies = [dataset.list_messages([example], "assistant") for example in examples]
    replies = dataset.list_messages(examples, "assistant")
    kind, reason = recognise(rows_of_replies, own_words, kind_name)
    return Profile(
        kind_name=kind.name,
        reason=reason,
        rows=own + packed,
        own_rows=own,
        longest_reply_tokens=max(_count_reply_tokens(example) for example in examples),
        longest_row_tokens=max(len(example.input_ids) for example in encoded.with_system),
        end_of_turn=template.end_of_turn,
        special_tokens=template.special_tokens,
        is_json=sum(map(is_json, replies)) >= LEAST_JSON_SHARE * (len(replies) or 1),
        languages=languages.count_languages(replies),
        own_languages=languages.count_own_languages(replies, own_words),
        schedule=plan(kind, own, packed),
    )


def split(
    encoded: EncodedRows, held: Sequence[bool], planned: Schedule
) -> tuple[list[Example], list[Example]]:
    """Give the trained rows with their repeats, and the held-out rows."""
    trained, held_out = [], []
    for plain, with_system, is_held in zip(encoded.plain, encoded.with_system, held, strict=True):
        if is_held:
            held_out.append(with_system)
        else:
            trained += _repeat(plain, with_system, planned)
    return trained, held_out


def _repeat(plain: Example, with_system: Example, planned: Schedule) -> list[Example]:
    """Give the forms of a row, with their repeats."""
    weight = planned.weigh(plain.pack)
    if not with_system.has_system:  # none is served, or the row has its own
        return [replace(plain, repeats=planned.repeats * weight)]
    forms = (plain, planned.plain_repeats), (with_system, planned.system_repeats)
    return [replace(form, repeats=repeats * weight) for form, repeats in forms if repeats]


def _count_reply_tokens(example: Example) -> int:
    """Count the tokens of the longest reply in a conversation."""
    longest = length = 0
    for label in example.labels:
        length = length + 1 if label >= 0 else 0
        longest = max(longest, length)
    return longest


def _encode_plain(
    rows: Sequence[Row], problems: list[str], template: Template, max_length: int
) -> list[Example]:
    mistakes: list[tuple[str, str]] = []
    seen, encoded = dict[str, str](), list[Example]()
    for number, row in enumerate(rows):
        if number % REPORT_EVERY_ROWS == 0:
            progress.report("encodes the rows", number, len(rows), "rows")
        content = json.dumps([row.messages, row.tools], ensure_ascii=False)
        if content in seen:
            what = f"is the same as {seen[content]}, expected no row twice"
            mistakes.append((row.where, what))
            continue
        seen[content] = row.where
        if row.tools and not template.knows_tools:
            continue
        if special := _find_special(row, template):
            what = f"contains the special token {special!r}, expected plain text"
            mistakes.append((row.where, what))
            continue
        try:
            encoded.append(_encode_one(row, row.messages, template, max_length))
        except DataError as error:
            mistakes += [(row.where, problem) for problem in error.problems]
    refused = [] if template.knows_tools else [row for row in rows if row.tools]
    problems += [_refuse_tools(refused, template)] if refused else []
    if problems or mistakes:
        told = (*problems, *tell_alike(mistakes, len(rows)))
        raise DataError(*told, hint=_suggest_base() if refused else None)
    return encoded


def _find_special(row: Row, template: Template) -> str | None:
    """Find a special token in a row's messages, calls or tools."""
    texts = [message["content"] for message in row.messages]
    calls = [message.get("tool_calls", []) for message in row.messages]
    texts += [json.dumps(part, ensure_ascii=False) for part in (*calls, row.tools) if part]
    return next(filter(None, map(template.special_in, texts)), None)


def _refuse_tools(refused: Sequence[Row], template: Template) -> str:
    """Say which chat template does not render tools and why, and which bases' do."""
    count = f"{len(refused)} row{'s have' if len(refused) > 1 else ' has'}"
    what = f"{count} tools, which the chat template of {template.owner} does not render"
    why = f" ({template.why_no_tools})" if template.why_no_tools else ""
    known = ", ".join(family.name for family in families.FAMILIES if family.tools)
    return f"{refused[0].where}: {what}{why}, expected a base of {known}"


def _suggest_base() -> str:
    known = (each for family in families.FAMILIES if family.tools for each in family.repositories)
    smallest = min(known, key=lambda repository: repository.size_bytes)
    size = f"{smallest.size_bytes / 1e9:.1f} GB"
    return f"`--base {smallest.name}` is the smallest ({size}); `{command('bases')}` lists all"


def _encode_one(row: Row, messages: list[Message], template: Template, max_length: int) -> Example:
    """Encode the messages of a row, which may begin with the served system text."""
    coded = template.encode(messages, row.tools)
    if len(coded.ids) > max_length:
        limit = f"expected at most {max_length} (training.max_length)"
        msg = f"is {len(coded.ids)} tokens long, {limit}"
        raise DataError(msg)
    return Example(messages, coded.ids, coded.labels(), tools=row.tools, pack=row.pack)


def _add_system(
    rows: Sequence[Row],
    examples: Sequence[Example],
    system: str,
    template: Template,
    max_length: int,
) -> list[Example]:
    """Put the served system text before each conversation without its own."""
    problems, found = [], []
    for row, example in zip(rows, examples, strict=True):
        if example.messages[0]["role"] == "system":
            found.append(example)
            continue
        messages = [{"role": "system", "content": system}, *example.messages]
        try:
            coded = _encode_one(row, messages, template, max_length)
            found.append(replace(coded, has_system=True))
        except DataError as error:
            where = f"{row.where}: with ollama.system before it"
            problems += [f"{where}: {problem}" for problem in error.problems]
    if problems:
        hint = "shorten ollama.system, raise training.max_length, or set training.system_share = 0"
        raise DataError(*problems, hint=hint)
    return found
