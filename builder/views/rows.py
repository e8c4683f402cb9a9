"""The output of `show`: the rows that a persona is trained on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from builder.command import command
from builder.data import dataset
from builder.data.rows import Row
from builder.data.template import IGNORED, Message
from builder.data.tools import Tool
from builder.errors import DataError
from builder.escapes import escape
from builder.project import Build
from builder.terminal.console import Console
from builder.words import count

if TYPE_CHECKING:
    from tokenizers import Tokenizer


@dataclass(frozen=True, kw_only=True)
class ShownRow:
    """A row that is trained on or held out.

    Attributes:
        number: Its number, from 1; held-out rows are counted separately.
        where: Its file and line.
        pack: Its pack; None for a row of the persona's own files.
        is_held_out: Whether it is held out.
        repeats: How often it is repeated in an epoch.
        has_system: Whether it is trained with the served system text.
        tokens: The number of its tokens.
        trained_tokens: The number of tokens that are trained on.
        messages: Its messages, with calls.
        tools: The functions that it declares.

    """

    number: int
    where: str
    pack: str | None
    is_held_out: bool
    repeats: int
    has_system: bool
    tokens: int
    trained_tokens: int
    messages: list[Message]
    tools: list[Tool]


def list_rows(folder: Path, read: Sequence[Row], number: int | None) -> list[ShownRow]:
    """List the rows of a dataset: the persona's own, those of packs, and the held-out rows.

    Args:
        folder: The output of the data stage.
        read: The persona's rows, read from its files.
        number: The number of the only row to list; None lists all.

    Raises:
        DataError: There is no such row.

    """
    sources = {_key(row.messages, row.tools): (row.where, row.pack) for row in read}
    trained = dataset.read_examples(folder / dataset.TRAIN)
    if number is not None and not 1 <= number <= len(trained):
        msg = f"{folder}: has no row {number}, expected 1 to {len(trained)}"
        raise DataError(msg)
    held = [] if number is not None else dataset.read_examples(folder / dataset.HELD_OUT)
    kinds = [*((False, *one) for one in enumerate(trained, 1))]
    kinds += [(True, *one) for one in enumerate(held, 1)]
    listed = [
        (*kind, *sources.get(_key(kind[2].conversation, kind[2].tools), ("unknown", None)))
        for kind in kinds
        if number in (None, kind[1])
    ]
    return [
        ShownRow(
            number=at,
            where=where,
            pack=pack,
            is_held_out=is_held_out,
            repeats=0 if is_held_out else row.repeats,
            has_system=row.has_system,
            tokens=len(row.input_ids),
            trained_tokens=0 if is_held_out else sum(label != IGNORED for label in row.labels),
            messages=row.messages,
            tools=row.tools,
        )
        for is_held_out, at, row, where, pack in listed
    ]


def _key(messages: list[Message], tools: list[Tool]) -> str:
    """Give a key that is different for each row of a persona."""
    return json.dumps([messages, tools], ensure_ascii=False)


def show(build: Build, rows: Sequence[ShownRow], console: Console, *, is_whole: bool) -> None:
    """Print rows, with trained tokens in green and the rest dim, and held-out rows at the end.

    Args:
        build: The build.
        rows: The result of `list_rows`.
        console: The console.
        is_whole: Whether to print all rows of packs instead of a few.

    """
    from tokenizers import Tokenizer  # noqa: PLC0415 — only here

    files = ((False, dataset.TRAIN), (True, dataset.HELD_OUT))
    examples = {held: dataset.read_examples(build.dataset / name) for held, name in files}
    tokenizer = Tokenizer.from_file(str(build.base / "tokenizer.json"))
    console.notes([_describe_schedule(dataset.read_profile(build.dataset))])

    def show_rows(listed: Sequence[ShownRow]) -> None:
        for row in listed:
            example = examples[row.is_held_out][row.number - 1]
            console.page.print(Text(_head(row), "bold"))
            console.page.print(_paint(row, example, tokenizer))

    listed = [row for row in rows if is_whole or row.pack is None]
    show_rows([row for row in listed if not row.is_held_out])
    if not is_whole:
        for pack in dict.fromkeys(row.pack for row in rows if row.pack is not None):
            of_pack = [row for row in rows if row.pack == pack]
            console.page.print(Text(_describe_pack(pack, of_pack, build.name), "bold underline"))
            show_rows(_choose_examples(of_pack))
    held_out = [row for row in listed if row.is_held_out]
    if held_out:
        told = f"held out, never trained on: {count(len(held_out), 'row')}"
        console.page.print(Text(told, "bold underline"))
        show_rows(held_out)


def _paint(row: ShownRow, example: dataset.Example, tokenizer: Tokenizer) -> Text:
    """Write the text of a row with its special tokens, coloured by what is trained on."""
    text = Text()
    for is_trained, ids in _runs(example.input_ids, example.labels):
        part = tokenizer.decode(ids, skip_special_tokens=False)
        is_green = is_trained and not row.is_held_out
        text.append(escape(part, keep="\t\n"), "green" if is_green else "dim")
    return text


def _describe_pack(pack: str, rows: Sequence[ShownRow], name: str) -> str:
    """Count the rows of a pack; a row with and without the system text counts once."""
    trained = len({row.where for row in rows if not row.is_held_out})
    held_out = len({row.where for row in rows if row.is_held_out})
    counts = f"{count(trained, 'row')} trained on, {held_out} held out"
    return f"pack {pack}: {counts}; `{command(f'show {name} --all')}` shows each"


def _choose_examples(rows: Sequence[ShownRow]) -> list[ShownRow]:
    """Choose the first and the last trained row: the first holds the name."""
    trained = list({row.where: row for row in rows if not row.is_held_out}.values())
    return [trained[0], trained[-1]] if len(trained) > 1 else trained


def _head(row: ShownRow) -> str:
    """Describe a row: its number, its tokens, and its place."""
    if row.is_held_out:
        return f"held out {row.number}: {row.tokens} tokens, {escape(row.where)}"
    system = ", with the served system text" if row.has_system else ""
    repeats = f", {row.repeats} times an epoch" if row.repeats > 1 else ""
    tokens = f"{row.tokens} tokens, {row.trained_tokens} trained on"
    return f"row {row.number}: {tokens}{repeats}{system}, {escape(row.where)}"


def _describe_schedule(profile: dataset.Profile) -> str:
    """Describe the kind of persona, and how often its rows are trained on."""
    schedule = profile.schedule
    system = (
        f"; {schedule.system_repeats} of {schedule.repeats} times with the served system text"
        if schedule.system_repeats
        else ""
    )
    own, packed = profile.own_rows, profile.rows - profile.own_rows
    rows = f"{profile.rows} rows, each trained on about {schedule.visits} times"
    if schedule.own_factor > 1:
        rows = (
            f"{packed} rows of packs, each trained on about {schedule.visits} times, and {own} of "
            f"your own, each about {schedule.own_visits} times"
        )
    replayed = (
        f", beside up to {schedule.replayed} of the base's own answers" if schedule.replayed else ""
    )
    return f"{profile.reason}; {rows}{system}{replayed}"


def _runs(ids: list[int], labels: list[int]) -> Iterator[tuple[bool, list[int]]]:
    run: list[int] = []
    for index, (token, label) in enumerate(zip(ids, labels, strict=True)):
        if run and (label != IGNORED) != (labels[index - 1] != IGNORED):
            yield labels[index - 1] != IGNORED, run
            run = []
        run.append(token)
    yield labels[-1] != IGNORED, run
