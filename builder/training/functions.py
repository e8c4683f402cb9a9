"""The functions of a training step, one for each shape of a batch, each compared with its graph."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import torch

from builder.training.batches import Row
from builder.training.graphs import Eager, Function, Graphs
from builder.training.shapes import Shape
from builder.training.step import TrainingStep

# A replay computes what the eager step does; only sums by atomic additions may differ.
LOSS_TOLERANCE, GRADIENT_TOLERANCE = 1e-3, 2e-2


class CaptureError(Exception):
    """A graph was captured, but does not compute what the eager step computes."""


def make_accumulate(step: TrainingStep, graphs: Graphs, shape: Shape, rows: list[Row]) -> Function:
    """Make the function that adds the gradients of one shape's batches.

    Args:
        step: What is trained; its gradients and its loss are zero, and zero again afterwards.
        graphs: How functions are run.
        shape: The shape.
        rows: A batch of it, on which the graph is compared with the function as it is.

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
    """Make the function that changes the weights; `prepare` has called it once."""
    return graphs.make(step.update) if step.is_capturable else graphs.keep(step.update)


def prepare(step: TrainingStep) -> None:
    """Let the optimiser allocate its state, and leave it as if it had done nothing."""
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
    """Give the loss, and the norm of the gradients."""
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
