"""The functions of a training step, captured as graphs that are compared with the eager step."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import torch

from builder.training.batches import TokenRow
from builder.training.graphs import Eager, Function, Graphs
from builder.training.shapes import BatchShape
from builder.training.step import TrainingStep

# A replay computes the same as the eager step, except for sums of atomic additions.
LOSS_TOLERANCE, GRADIENT_TOLERANCE = 1e-3, 2e-2


class CaptureError(Exception):
    """A graph was captured, but does not compute what the eager step computes."""


def make_accumulate(
    step: TrainingStep, graphs: Graphs, shape: BatchShape, rows: list[TokenRow]
) -> Function:
    """Make the function that accumulates the gradients of batches of one shape.

    Args:
        step: The training step; its gradients and its loss are zero before and after.
        graphs: Runs functions.
        shape: The shape.
        rows: A batch of that shape, for comparing the graph with the eager step.

    Raises:
        CaptureError: They differ.

    """
    step.fill(shape, rows)
    accumulate = functools.partial(step.accumulate, shape)
    if isinstance(graphs, Eager):
        return accumulate
    expected = _measure(step, accumulate)
    graph = graphs.make(accumulate)
    step.clear()
    _compare(expected, _measure(step, graph))
    return graph


def make_update(step: TrainingStep, graphs: Graphs) -> Function:
    """Make the function that updates the weights; `prepare` has called it once."""
    return graphs.make(step.update) if step.is_capturable else graphs.keep(step.update)


def prepare(step: TrainingStep) -> None:
    """Let the optimiser allocate its state, without any other effect."""
    scaler = step.scaler.state_dict()
    step.scaler.scale(step.loss)
    step.set_rate(0.0)
    step.clear()
    step.update()
    if step.is_capturable:
        for weight in step.weights.values():
            for moment in step.optimizer.state[weight].values():
                moment.zero_()
    else:
        step.optimizer.state.clear()
    step.scaler.load_state_dict(scaler)


def _measure(step: TrainingStep, function: Function) -> tuple[float, float]:
    """Run a function and return the loss and the norm of the gradients."""
    function()
    loss, norm = torch.stack([step.loss, step.measure_gradients()]).tolist()
    step.clear()
    return loss, norm


def _compare(expected: Sequence[float], found: Sequence[float]) -> None:
    for what, eager, captured, tolerance in zip(
        ("loss", "gradient"), expected, found, (LOSS_TOLERANCE, GRADIENT_TOLERANCE), strict=True
    ):
        if math.isfinite(eager) and not math.isclose(eager, captured, rel_tol=tolerance):
            msg = f"its {what} is {captured:.6g} where the eager step's is {eager:.6g}"
            raise CaptureError(msg)
