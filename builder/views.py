"""Shows a build's training rows and gates, the bases, and the keys of persona.toml."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.table import Table
from rich.text import Text

from builder.bases.table import GIGABYTE
from builder.bases.table import Row as BaseRow
from builder.console import Console, escape
from builder.data import dataset
from builder.data.template import IGNORED
from builder.errors import DataError
from builder.evaluation.report import Report
from builder.schema import Key

VERDICT_STYLES = {
    "pass": "green",
    "fail": "bold red",
    "not enough evidence": "yellow",
    "does not apply": "dim",
    "off": "dim",
}


def show(dataset_folder: Path, tokenizer_path: Path, number: int | None, console: Console) -> None:
    """Print one row, or all of them; what is trained on is green, the rest dim.

    Raises:
        DataError: There is no such row.

    """
    from tokenizers import Tokenizer  # noqa: PLC0415 — only here

    rows = dataset.read_examples(dataset_folder / dataset.TRAIN)
    if number is not None and not 1 <= number <= len(rows):
        msg = f"{dataset_folder}: has no row {number}, expected 1 to {len(rows)}"
        raise DataError(msg)
    tokenizer = Tokenizer.from_file(str(tokenizer_path))
    console.notes([_describe_schedule(dataset.read_profile(dataset_folder))])
    for index in range(1, len(rows) + 1) if number is None else [number]:
        row = rows[index - 1]
        trained = sum(label != IGNORED for label in row.labels)
        system = ", with the served system text" if row.has_system else ""
        repeats = f", {row.repeats} times an epoch" if row.repeats > 1 else ""
        count = f"{len(row.input_ids)} tokens, {trained} trained on"
        console.page.print(Text(f"row {index}: {count}{repeats}{system}", "bold"))
        text = Text()
        for is_trained, ids in _runs(row.input_ids, row.labels):
            part = tokenizer.decode(ids, skip_special_tokens=False)
            text.append(escape(part, keep="\t\n"), "green" if is_trained else "dim")
        console.page.print(text)


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


def show_gates(report: Report, console: Console) -> None:
    """Print the gates' table, the base's figures beside the persona's."""
    table = Table(
        "gate", "verdict", "right", "95 % interval", "base", "note", box=None, pad_edge=False
    )
    for finding in report.gates:
        low, high = finding.interval
        is_counted, base = bool(finding.of), finding.baseline_right
        table.add_row(
            finding.gate.replace("_", " "),
            Text(finding.verdict, VERDICT_STYLES[finding.verdict]),
            f"{finding.right} of {finding.of}" if is_counted else "",
            f"{low:.0%} to {high:.0%}" if is_counted else "",
            "" if base is None else f"{base} of {finding.of}",
            Text(escape(finding.note)),
        )
    console.page.print(table)


def show_bases(rows: Sequence[BaseRow], console: Console) -> None:
    """Print the bases, one a line: sizes of the 16-bit weights, and GPU memory of training."""
    table = Table(
        *("base", "family", "weights", "GPU memory", "thinking", "tools", "licence", "verified"),
        box=None,
        pad_edge=False,
    )
    for row in rows:
        table.add_row(
            row.repository,
            row.family,
            f"{row.size_bytes / GIGABYTE:.1f} GB",
            f"{row.memory_bytes / GIGABYTE:.1f} GB",
            row.thinking,
            "yes" if row.has_tools else "no",
            row.licence,
            row.verified,
        )
    console.page.print(table)


def show_keys(keys: Sequence[Key], console: Console) -> None:
    """Print the keys of persona.toml, a line of its type and default below each."""
    for key in keys:
        default = f" = {key.shown_default}" if key.default is not None else ""
        required = ", required" if key.is_required else ""
        console.page.print(Text.assemble((key.name, "bold"), escape(default)))
        console.page.print(Text(f"    {escape(key.type)}{required}", "dim"))
        console.page.print(Text(f"    {escape(key.description)}"))
