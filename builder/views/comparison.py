"""The output of `diff`: two builds side by side, with the differing words marked."""

from __future__ import annotations

import difflib
import re
from typing import Any

from rich.table import Table
from rich.text import Text

from builder.comparison import AnswerPair, Comparison
from builder.engine.excerpts import shorten
from builder.escapes import escape
from builder.evaluation import tally
from builder.history import Gate
from builder.terminal import grid
from builder.terminal.console import Console

# How many differing answers are shown, how much of each, and how much of that comes before the
# first difference.
SHOWN_ANSWERS, SHOWN_CHARACTERS, SHOWN_BEFORE = 20, 240, 40
# The smallest width of a readable column of answers.
LEAST_WIDTH = 28
INDENT = "  "
# A word of letters and digits, or any other single character.
WORDS = re.compile(r"[a-zA-Z0-9À-ɏ]+|.", re.DOTALL)
ABSENT = "-"
DIFFERENT = "bold yellow"


def show(comparison: Comparison, console: Console) -> None:
    """Print a comparison as a result."""
    heads = ("", comparison.first_name, comparison.second_name)
    ends = [comparison.first, comparison.second]
    rows = [
        ("ended", *(str(end["ended_at"])[:16].replace("T", " ") + " UTC" for end in ends)),
        ("outcome", *(_tell_outcome(end) for end in ends)),
        ("base", *(str(end["base"]) for end in ends)),
        ("rows", *(str(end["rows"]) for end in ends)),
    ]
    grid.show(heads, rows, console, [_style(row) for row in rows])
    _show_settings(comparison, console)
    _show_gates(comparison, console)
    _show_answers(comparison, console)


def _tell_outcome(end: dict[str, Any]) -> str:
    return f"stopped at {end['stopped_at']}" if end["outcome"] == "stopped" else str(end["outcome"])


def _style(row: tuple[str, ...]) -> list[str]:
    look = DIFFERENT if row[1] != row[2] else ""
    return ["bold", look, look]


def _show_settings(comparison: Comparison, console: Console) -> None:
    _head("settings that differ", console)
    if not comparison.settings:
        console.page.print("none")
        return
    rows = []
    for setting in comparison.settings:
        first, second = shorten(setting.first, setting.second)
        rows.append((setting.name, _value(setting.first, first), _value(setting.second, second)))
    grid.show(("setting", comparison.first_name, comparison.second_name), rows, console)


def _value(value: Any, shown: str) -> str:
    return ABSENT if value is None else shown


def _show_gates(comparison: Comparison, console: Console) -> None:
    _head("gates", console)
    rows = [
        (pair.gate.replace("_", " "), *_tell_gates(_tell_gate(pair.first), _tell_gate(pair.second)))
        for pair in comparison.gates
    ]
    heads = ("gate", comparison.first_name, comparison.second_name)
    grid.show(heads, rows, console, [_style(row) for row in rows])


def _tell_gates(first: str, second: str) -> list[str]:
    """Shorten two long findings to the part where they first differ."""
    return shorten(first, second) if first != second else shorten(first) * 2


def _tell_gate(gate: Gate | None) -> str:
    if gate is None:
        return ABSENT
    verdict = tally.describe(gate.verdict, gate.mode)
    if gate.of and not gate.note.startswith("KL"):
        return f"{verdict}, {gate.right} of {gate.of}"
    return ", ".join(filter(None, (verdict, gate.note)))


def _show_answers(comparison: Comparison, console: Console) -> None:
    differ = len(comparison.answers)
    _head(f"answers that differ: {differ} of {comparison.asked} that both were asked", console)
    for pair in comparison.answers[:SHOWN_ANSWERS]:
        gate = escape(pair.gate.replace("_", " "))
        console.page.print(Text(f"{gate}: {_cut(_one_line(pair.ask), 0)}", "bold"))
        _show_pair(comparison, pair, console)
    if differ > SHOWN_ANSWERS:
        console.page.print(f"and {differ - SHOWN_ANSWERS} more, which --json has")


def _show_pair(comparison: Comparison, pair: AnswerPair, console: Console) -> None:
    """Print two answers side by side, or one below the other on a narrow terminal."""
    first, second = mark(pair.first, pair.second)
    cells = [_judge(pair.first_is_right, first), _judge(pair.second_is_right, second)]
    width = (console.page.width - len(INDENT)) // 2 - len(INDENT)
    if width < LEAST_WIDTH:
        names = (comparison.first_name, comparison.second_name)
        for name, cell in zip(names, cells, strict=True):
            console.page.print(Text.assemble(f"{INDENT}{escape(name)}: ", cell))
        return
    table = Table.grid(padding=(0, 0, 0, len(INDENT)), pad_edge=True)
    for _ in cells:
        table.add_column(width=width, overflow="fold")
    table.add_row(*cells)
    console.page.print(table)


def mark(first: str, second: str) -> tuple[Text, Text]:
    """Highlight the words in which two answers differ; long answers begin near the first."""
    first, second = _one_line(first), _one_line(second)
    pairs = enumerate(zip(first, second, strict=False))
    at = next((at for at, (a, b) in pairs if a != b), min(len(first), len(second)))
    start = max(0, at - SHOWN_BEFORE) if max(len(first), len(second)) > SHOWN_CHARACTERS else 0
    old, new = _cut(first, start), _cut(second, start)
    old_words, new_words = WORDS.findall(old), WORDS.findall(new)
    old_text, new_text = Text(), Text()
    steps = difflib.SequenceMatcher(None, old_words, new_words, autojunk=False).get_opcodes()
    for kind, old_from, old_to, new_from, new_to in steps:
        style = "" if kind == "equal" else DIFFERENT
        old_text.append("".join(old_words[old_from:old_to]), style)
        new_text.append("".join(new_words[new_from:new_to]), style)
    return old_text, new_text


def _cut(text: str, start: int) -> str:
    """Cut a part out of a text, with dots where it was cut."""
    stop = start + SHOWN_CHARACTERS
    return f"{'…' * (start > 0)}{text[start:stop]}{'…' * (len(text) > stop)}"


def _one_line(text: str) -> str:
    return escape(" ".join(text.split()))


def _judge(is_right: bool, text: Text) -> Text:  # noqa: FBT001 — which of two words is shown
    return Text.assemble(("right: ", "green") if is_right else ("wrong: ", "red"), text)


def _head(text: str, console: Console) -> None:
    console.page.print(Text(f"\n{text}", "bold underline"))
