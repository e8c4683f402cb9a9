"""The bases that can be built on, as `bases` prints them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from builder.bases.table import GIGABYTE, Row
from builder.command import command
from builder.terminal import grid
from builder.terminal.console import Console

HEADS = ("base", "GPU memory", "tools", "thinking", "verified")
# A word of how a family's record was verified stands for it, as in "built and served".
WORDS = ("built", "compared", "rendered", "reading")


def show(rows: Sequence[Row], console: Console) -> None:
    """Print the bases, one a line, with what a person chooses one by, in 80 columns."""
    cells = [
        (
            row.repository,
            f"{row.memory_bytes / GIGABYTE:.1f} GB",
            "yes" if row.has_tools else "no",
            re.split("[:,]", row.thinking)[0],
            next((word for word in WORDS if word in row.verified), row.verified),
        )
        for row in rows
    ]
    grid.show(HEADS, cells, console)
    notes = [
        "verified: built and served, or its chat template compared with another's, or rendered;",
        f"else by reading alone. `{command('bases --json')}` tells weights and licences too.",
    ]
    console.notes(notes)
