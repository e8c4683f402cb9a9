"""The output of `bases`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from builder.bases.base import EMBEDDED_REPOSITORY
from builder.bases.table import GIGABYTE, Row, read_checked
from builder.command import command
from builder.terminal import grid
from builder.terminal.console import Console

Column = Callable[[Row], str]


def _tell_verified(row: Row) -> str:
    """Say with which weights a base, or a base of its family, went through the whole chain."""
    if row.repository == EMBEDDED_REPOSITORY:
        return "built"
    return "random weights" if row.family in read_checked() else "not yet"


COLUMNS: dict[str, Column] = {
    "base": lambda row: row.repository,
    "weights": lambda row: f"{row.size_bytes / GIGABYTE:.1f} GB",
    "4 bit": lambda row: row.train_source if row.train_source != row.repository else "",
    "GPU memory": lambda row: f"{row.memory_bytes / GIGABYTE:.1f} GB",
    "licence": lambda row: _shorten(row.licence),
    "tools": lambda row: "yes" if row.has_tools else "no",
    "thinking": lambda row: row.thinking.partition(":")[0].partition(",")[0],
    "verified": _tell_verified,
}
# Sets of columns for terminals of decreasing width; the last set fits 80 columns.
SETS = (
    tuple(COLUMNS),
    ("base", "weights", "GPU memory", "licence", "tools", "thinking", "verified"),
    ("base", "GPU memory", "licence", "tools"),
)
NOTES = (
    "verified: random weights of the family went through the whole chain; built: real ones did",
    f"{command('bases --json')} tells each base's 4-bit weights, thinking and licence in full",
)


def show(rows: Sequence[Row], console: Console) -> None:
    """Print the bases, one a line, with as many columns as fit."""
    tables = [(heads, [[COLUMNS[head](row) for head in heads] for row in rows]) for heads in SETS]
    fitting = (table for table in tables if grid.fits(*table, console))
    grid.show(*next(fitting, tables[-1]), console)
    asked = {_shorten(row.licence): row.licence_asks for row in rows if row.licence_asks}
    console.notes([*(f"{licence}: {asks}" for licence, asks in asked.items()), *NOTES])


def _shorten(licence: str) -> str:
    """Shorten a licence's name to a word or two."""
    return licence.removesuffix(" Community License").removesuffix(" License")
