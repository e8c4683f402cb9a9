"""A few values drawn as blocks in a line of text."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

SPARKS = "▁▂▃▄▅▆▇█"
MOST_COLUMNS = 8
# The loss of one step says little of those around it.
LEAST_SUMMARISED = 3


def summarise(values: Sequence[float], columns: int = MOST_COLUMNS) -> list[float]:
    """Give the means of so many runs of neighbouring values, or of fewer where they are few."""
    columns = min(columns, max(1, len(values) // LEAST_SUMMARISED))
    edges = [round(len(values) * column / columns) for column in range(columns + 1)]
    return [sum(values[start:end]) / (end - start) for start, end in itertools.pairwise(edges)]


def draw(values: Sequence[float]) -> str:
    """Draw values as blocks, the lowest at the bottom and the highest at the top."""
    low, high = min(values), max(values)
    steps = (len(SPARKS) - 1) / ((high - low) or 1.0)
    return "".join(SPARKS[round((value - low) * steps)] for value in values)
