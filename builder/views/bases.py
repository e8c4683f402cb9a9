"""The bases that can be built on, as `bases` prints them."""

from __future__ import annotations

from collections.abc import Sequence

from builder.bases.table import GIGABYTE, Row
from builder.terminal import grid
from builder.terminal.console import Console


def show(rows: Sequence[Row], console: Console) -> None:
    """Print the bases, one a line: sizes of the 16-bit weights, and GPU memory of training."""
    heads = ("base", "family", "weights", "GPU memory", "thinking", "tools", "licence", "verified")
    cells = [
        (
            row.repository,
            row.family,
            f"{row.size_bytes / GIGABYTE:.1f} GB",
            f"{row.memory_bytes / GIGABYTE:.1f} GB",
            row.thinking,
            "yes" if row.has_tools else "no",
            row.licence,
            row.verified,
        )
        for row in rows
    ]
    grid.show(heads, cells, console)
