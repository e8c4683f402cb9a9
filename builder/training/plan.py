"""The plan of a training on a GPU: the batches of each step, and their rows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

from builder.data.dataset import Example
from builder.training import shapes
from builder.training.batches import TokenRow
from builder.training.settings import Settings
from builder.training.shapes import Batch, BatchShape, Step


class Plan:
    """The batches of each step.

    Args:
        examples: One epoch.
        settings: The rows of a batch, the batches of a step, and the seed.
        epochs: The number of epochs.

    """

    def __init__(self, examples: list[Example], settings: Settings, epochs: float) -> None:
        self.examples = examples
        self.rows: list[TokenRow] = [
            {"input_ids": example.input_ids, "labels": example.labels} for example in examples
        ]
        self._labels = [shapes.count_labels(row) for row in self.rows]
        self._tokens = [len(example.input_ids) for example in examples]
        count = shapes.count_steps(len(examples), settings, epochs)
        self.steps = shapes.plan_steps(self._tokens, settings, count)
        self.epochs = len(self.steps) / shapes.count_steps_an_epoch(len(examples), settings)
        self.key = _hash(self.steps)
        """A hash of the order of the rows; it stays the same when batches are halved."""

    def __len__(self) -> int:
        """Count the steps."""
        return len(self.steps)

    @property
    def longest(self) -> int:
        """The length of the longest batch, in tokens."""
        return max(batch.length for batch in self.list_batches())

    @property
    def rows_at_once(self) -> int:
        """The number of rows in the largest batch."""
        return max(len(batch.rows) for batch in self.list_batches())

    def list_batches(self, first: int = 0, end: int | None = None) -> Iterator[Batch]:
        """List the batches of a range of steps, by default of all."""
        return (batch for step in self.steps[first:end] for batch in step)

    def find_shapes(self) -> dict[int, BatchShape]:
        """Find, for each length, the shape that fits every batch of that length."""
        return shapes.find_shapes(self.steps, self.rows)

    def take_rows(self, batch: Batch) -> list[TokenRow]:
        """Return the rows of a batch."""
        return [self.rows[row] for row in batch.rows]

    def take_examples(self, step: int) -> list[Example]:
        """Return the examples of a step, each once."""
        rows = dict.fromkeys(row for batch in self.steps[step] for row in batch.rows)
        return [self.examples[row] for row in rows]

    def count_labels(self, batches: Step) -> int:
        """Count the labels of batches; at least 1."""
        return max(1, sum(self._labels[row] for batch in batches for row in batch.rows))

    def count_tokens(self, first: int, end: int) -> int:
        """Count the tokens of a range of steps, without padding."""
        batches = self.list_batches(first, end)
        return sum(self._tokens[row] for batch in batches for row in batch.rows)

    def halve_batches(self) -> None:
        """Halve every batch."""
        self.steps = [shapes.halve(step) for step in self.steps]


def _hash(planned: list[Step]) -> str:
    values = [[[batch.length, *batch.rows] for batch in step] for step in planned]
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()
