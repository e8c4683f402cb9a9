"""Prints a table: one line for each row if there is room, or else one for each value."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.text import Text

from builder.escapes import escape
from builder.terminal.console import Console

GAP = "  "


def show(
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    console: Console,
    styles: Sequence[Sequence[str]] = (),
) -> None:
    """Print rows under their heads, as a result.

    If the terminal is too narrow, the first value of each row has its own line, and the other
    values have lines below it, each with its head; empty values are left out.

    Args:
        heads: The name of each column.
        rows: The values of each row.
        console: The console.
        styles: A style for each value, or nothing.

    """
    cells = [[escape(value) for value in row] for row in rows]
    looks = styles or [[""] * len(heads) for _ in rows]
    if not fits(heads, rows, console):
        _stack(heads, cells, looks, console)
        return
    widths = _measure(heads, cells)
    _line(heads, ["bold"] * len(heads), widths, console)
    for row, look in zip(cells, looks, strict=True):
        _line(row, look, widths, console)


def fits(heads: Sequence[str], rows: Sequence[Sequence[str]], console: Console) -> bool:
    """Say whether a table fits the terminal; a file or pipe has room for any."""
    widths = _measure(heads, [[escape(value) for value in row] for row in rows])
    total = sum(widths) + len(GAP) * (len(heads) - 1)
    return not console.page.file.isatty() or total <= console.page.width


def _measure(heads: Sequence[str], cells: Sequence[Sequence[str]]) -> list[int]:
    """Compute the width of each column."""
    return [max(map(cell_len, column)) for column in zip(heads, *cells, strict=True)]


def _line(row: Sequence[str], look: Sequence[str], widths: Sequence[int], console: Console) -> None:
    line = Text()
    for value, style, width in zip(row, look, widths, strict=True):
        line.append(value, style).append(" " * (width - cell_len(value)) + GAP)
    line.rstrip()
    console.page.print(line)


def _stack(
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    looks: Sequence[Sequence[str]],
    console: Console,
) -> None:
    for row, look in zip(rows, looks, strict=True):
        console.page.print(Text(row[0], look[0] or "bold"))
        for head, value, style in list(zip(heads, row, look, strict=True))[1:]:
            if value:
                console.page.print(Text.assemble(f"{GAP}{head}: ", (value, style)))
