"""Draws a few values as blocks in a line of text."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

SPARKS = "▁▂▃▄▅▆▇█"
MOST_COLUMNS = 8
# A mean of fewer losses would show mostly noise.
LEAST_SUMMARISED = 3


def summarise(values: Sequence[float], columns: int = MOST_COLUMNS) -> list[float]:
    """Compute the means of consecutive parts of the values, fewer parts for few values."""
    columns = min(columns, max(1, len(values) // LEAST_SUMMARISED))
    edges = [round(len(values) * column / columns) for column in range(columns + 1)]
    return [sum(values[start:end]) / (end - start) for start, end in itertools.pairwise(edges)]


def draw(values: Sequence[float]) -> str:
    """Draw values as blocks, scaled from the lowest to the highest."""
    low, high = min(values), max(values)
    steps = (len(SPARKS) - 1) / ((high - low) or 1.0)
    return "".join(SPARKS[round((value - low) * steps)] for value in values)
