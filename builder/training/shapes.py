"""Divides rows into batches of a few fixed shapes, in an order decided by a seed."""

from __future__ import annotations

import itertools
import math
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from builder.data.template import IGNORED
from builder.training.batches import TokenRow
from builder.training.settings import Settings

MOST_LENGTHS = 4
# Lengths are multiples of this, which is faster on tensor cores.
MULTIPLE = 8
# Another length means another graph to capture: it must save a twentieth of the tokens.
WORTH_A_LENGTH = 0.95
SLOTS_MULTIPLE = 16


@dataclass(frozen=True)
class Batch:
    """Rows that go through the layers at once, padded to one length."""

    rows: tuple[int, ...]
    """Indices of rows in an epoch."""
    length: int
    """Tokens that each row is padded to."""


Step = tuple[Batch, ...]
"""The batches of one optimiser step."""


@dataclass(frozen=True)
class BatchShape:
    """The fixed sizes of a batch: B rows of T tokens, and S slots for labels."""

    rows: int
    tokens: int
    slots: int


def round_up(number: int, multiple: int) -> int:
    """Round a number up to a multiple."""
    return -(-number // multiple) * multiple


def choose_lengths(tokens: Sequence[int]) -> tuple[int, ...]:
    """Choose a few lengths to pad rows to, so that there is little padding.

    Args:
        tokens: The length of each row.

    Returns:
            At most `MOST_LENGTHS` lengths in rising order; the longest row fits the last one.

    """
    # Long rows have many lengths: rounding them more keeps the search below short.
    multiple = MULTIPLE * math.ceil(max(tokens) / 2048)
    counts = Counter(round_up(length, multiple) for length in tokens)
    lengths = sorted(counts)
    below = [0, *itertools.accumulate(counts[length] for length in lengths)]  # rows up to a length
    # For the rows up to each length: the fewest padded tokens, and the lengths that give them.
    best: list[tuple[int, tuple[int, ...]]] = [(0, ()), *((0, ()) for _ in lengths)]
    for end, length in enumerate(lengths, 1):
        best[end] = (below[end] * length, (length,))
    chosen = best[-1]
    for _ in range(MOST_LENGTHS - 1):
        best = [best[0]] + [
            min(
                (best[start][0] + (below[end] - below[start]) * length, (*best[start][1], length))
                for start in range(end)
            )
            for end, length in enumerate(lengths, 1)
        ]
        if best[-1][0] < WORTH_A_LENGTH * chosen[0]:
            chosen = best[-1]
    return chosen[1]


def count_steps(rows: int, settings: Settings, epochs: float) -> int:
    """Count the optimiser steps of a training, as transformers' Trainer counts them."""
    if settings.max_steps:
        return settings.max_steps
    return math.ceil(epochs * count_steps_an_epoch(rows, settings))


def count_steps_an_epoch(rows: int, settings: Settings) -> int:
    """Count the optimiser steps of one epoch."""
    batches = math.ceil(rows / settings.batch_size)
    return math.ceil(batches / settings.gradient_accumulation)


def plan_steps(tokens: Sequence[int], settings: Settings, steps: int) -> list[Step]:
    """Divide rows into the batches of each step: each row once an epoch, similar lengths together.

    Args:
        tokens: The length of each row of an epoch.
        settings: The rows of a batch, the batches of a step, and the seed.
        steps: The number of steps; the last epoch may be cut short.

    """
    lengths = choose_lengths(tokens)
    epochs = math.ceil(steps / count_steps_an_epoch(len(tokens), settings))
    generator = random.Random(settings.seed)  # noqa: S311 — an order, not a secret
    planned: list[Step] = []
    for _ in range(epochs):
        batches = list(_form_batches(tokens, lengths, settings.batch_size, generator))
        generator.shuffle(batches)
        together = settings.gradient_accumulation
        planned += [tuple(batches[at : at + together]) for at in range(0, len(batches), together)]
    return planned[:steps]


def _form_batches(
    tokens: Sequence[int], lengths: tuple[int, ...], size: int, generator: random.Random
) -> Iterator[Batch]:
    """Divide the rows of each length into batches; what is left over joins longer rows."""
    order = list(range(len(tokens)))
    generator.shuffle(order)
    waiting: list[int] = []
    shorter = 0
    for length in lengths:
        waiting += [row for row in order if shorter < tokens[row] <= length]
        shorter = length
        whole = len(waiting) if length == lengths[-1] else len(waiting) // size * size
        for start in range(0, whole, size):
            yield Batch(tuple(waiting[start : start + size]), length)
        waiting = waiting[whole:]


def halve(step: Step) -> Step:
    """Divide each batch of a step in two, which need half of the memory at once."""
    return tuple(
        Batch(half, batch.length)
        for batch in step
        for half in (batch.rows[: len(batch.rows) // 2], batch.rows[len(batch.rows) // 2 :])
        if half
    )


def find_shapes(planned: Sequence[Step], rows: Sequence[TokenRow]) -> dict[int, BatchShape]:
    """Find, for each length, the shape that fits every planned batch of that length."""
    most: dict[int, tuple[int, int]] = {}
    labels = [count_labels(row) for row in rows]
    for batch in {batch for step in planned for batch in step}:
        held, slots = most.get(batch.length, (0, 0))
        count = sum(labels[row] for row in batch.rows)
        most[batch.length] = (max(held, len(batch.rows)), max(slots, count))
    return {
        length: BatchShape(held, length, round_up(max(slots, 1), SLOTS_MULTIPLE))
        for length, (held, slots) in sorted(most.items())
    }


def count_labels(row: TokenRow) -> int:
    """Count the labels of a row; the first token is never one."""
    return sum(label != IGNORED for label in row["labels"][1:])
