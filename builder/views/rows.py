"""The rows that a persona is trained on, as `show` prints them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.text import Text

from builder.data import dataset
from builder.data.rows import Row
from builder.data.template import IGNORED, Message
from builder.data.tools import Tool
from builder.errors import DataError
from builder.terminal.console import Console, escape


@dataclass(frozen=True, kw_only=True)
class ShownRow:
    """A row as it is trained on, or held out.

    Attributes:
        number: Counted from 1; those that are held out are counted by themselves.
        where: The file and the line that it comes from.
        is_held_out: Whether it is never trained on.
        repeats: How often it comes in an epoch.
        has_system: Whether the served system text was put before it.
        tokens: How many tokens it has.
        trained_tokens: How many of them are trained on.
        messages: What is said, its calls with it.
        tools: The functions that it declares.

    """

    number: int
    where: str
    is_held_out: bool
    repeats: int
    has_system: bool
    tokens: int
    trained_tokens: int
    messages: list[Message]
    tools: list[Tool]


def list_rows(folder: Path, read: Sequence[Row], number: int | None) -> list[ShownRow]:
    """List the rows of a dataset, those that are trained on first.

    Args:
        folder: What the data stage wrote.
        read: The persona's rows as they are read from its files.
        number: The one row to list, of those that are trained on; None is all, held-out ones too.

    Raises:
        DataError: There is no such row.

    """
    places = {_key(row.messages, row.tools): row.where for row in read}
    trained = dataset.read_examples(folder / dataset.TRAIN)
    if number is not None and not 1 <= number <= len(trained):
        msg = f"{folder}: has no row {number}, expected 1 to {len(trained)}"
        raise DataError(msg)
    held = [] if number is not None else dataset.read_examples(folder / dataset.HELD_OUT)
    kinds = [*((False, *one) for one in enumerate(trained, 1))]
    kinds += [(True, *one) for one in enumerate(held, 1)]
    return [
        ShownRow(
            number=at,
            where=places.get(_key(row.conversation, row.tools), "unknown"),
            is_held_out=is_held_out,
            repeats=0 if is_held_out else row.repeats,
            has_system=row.has_system,
            tokens=len(row.input_ids),
            trained_tokens=0 if is_held_out else sum(label != IGNORED for label in row.labels),
            messages=row.messages,
            tools=row.tools,
        )
        for is_held_out, at, row in kinds
        if number in (None, at)
    ]


def _key(messages: list[Message], tools: list[Tool]) -> str:
    """Give what no two rows of a persona have in common."""
    return json.dumps([messages, tools], ensure_ascii=False)


def show(folder: Path, tokenizer_path: Path, rows: Sequence[ShownRow], console: Console) -> None:
    """Print rows; what is trained on is green, the rest dim, and held-out rows stand at the end.

    Args:
        folder: What the data stage wrote.
        tokenizer_path: The base's tokenizer.json.
        rows: The rows, as `list_rows` lists them.
        console: Where they are printed.

    """
    from tokenizers import Tokenizer  # noqa: PLC0415 — only here

    files = {
        held: folder / name for held, name in ((False, dataset.TRAIN), (True, dataset.HELD_OUT))
    }
    examples = {held: dataset.read_examples(path) for held, path in files.items()}
    tokenizer = Tokenizer.from_file(str(tokenizer_path))
    console.notes([_describe_schedule(dataset.read_profile(folder))])
    held_out = [row for row in rows if row.is_held_out]
    for row in rows:
        if held_out and row is held_out[0]:
            count = f"{len(held_out)} row{'' if len(held_out) == 1 else 's'}"
            console.page.print(Text(f"held out, never trained on: {count}", "bold underline"))
        console.page.print(Text(_head(row), "bold"))
        example = examples[row.is_held_out][row.number - 1]
        text = Text()
        for is_trained, ids in _runs(example.input_ids, example.labels):
            part = tokenizer.decode(ids, skip_special_tokens=False)
            is_green = is_trained and not row.is_held_out
            text.append(escape(part, keep="\t\n"), "green" if is_green else "dim")
        console.page.print(text)


def _head(row: ShownRow) -> str:
    """Say which row it is, of how many tokens, and where it comes from."""
    if row.is_held_out:
        return f"held out {row.number}: {row.tokens} tokens, {escape(row.where)}"
    system = ", with the served system text" if row.has_system else ""
    repeats = f", {row.repeats} times an epoch" if row.repeats > 1 else ""
    count = f"{row.tokens} tokens, {row.trained_tokens} trained on"
    return f"row {row.number}: {count}{repeats}{system}, {escape(row.where)}"


def _describe_schedule(profile: dataset.Profile) -> str:
    """Say what the persona is, and how often its rows are trained on."""
    schedule = profile.schedule
    system = (
        f", {schedule.system_repeats} of them with the served system text"
        if schedule.system_repeats
        else ""
    )
    rows = f"{profile.rows} rows, each {schedule.repeats} times an epoch{system}"
    replayed = (
        f", beside up to {schedule.replayed} of the base's own answers" if schedule.replayed else ""
    )
    return f"{profile.reason}; {rows}, for {schedule.epochs:g} epochs{replayed}"


def _runs(ids: list[int], labels: list[int]) -> Iterator[tuple[bool, list[int]]]:
    run: list[int] = []
    for index, (token, label) in enumerate(zip(ids, labels, strict=True)):
        if run and (label != IGNORED) != (labels[index - 1] != IGNORED):
            yield labels[index - 1] != IGNORED, run
            run = []
        run.append(token)
    yield labels[-1] != IGNORED, run
