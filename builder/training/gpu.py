"""Trains an adapter on a GPU, with steps that are captured as CUDA graphs.

Only a worker that has imported `builder.training.unsloth` imports this.
"""

from __future__ import annotations

import functools
import logging
from typing import Any

import torch

from builder.bases import fetch
from builder.data.template import IGNORED
from builder.training import captured, failures, footprint, loading, shapes
from builder.training.graphs import CudaGraphs
from builder.training.job import Job
from builder.training.samples import Samples
from builder.training.shapes import BatchShape
from builder.training.tracking import Tracker

log = logging.getLogger("builder")


def train(job: Job, tracker: Tracker, samples: Samples | None = None) -> tuple[Any, list[float]]:
    """Train an adapter; the memory that it needs is logged first.

    Returns:
        The model with its adapter, and the loss of each step.

    Raises:
        ToolError: The loss is not finite, the GPU has no memory for it, or SIGTERM came.

    """
    longest = shapes.choose_lengths(job.lengths)[-1]
    _say_memory(job, longest)
    model, _ = loading.load_base(job.base, job.machine, tokens=longest)
    model = loading.add_adapter(model, job.settings).train()
    execution = captured.Execution(
        graphs=CudaGraphs(),
        dtype=loading.choose_dtype(job.machine),
        recompute=functools.partial(loading.recompute_activations, model),
    )
    losses = captured.train(
        model,
        job.rows,
        job.settings,
        job.epochs,
        execution=execution,
        scratch=job.scratch,
        tracker=tracker,
        samples=samples,
    )
    return model, losses


def _say_memory(job: Job, longest: int) -> None:
    most_labels = max(sum(label != IGNORED for label in row.labels) for row in job.rows)
    size = job.settings.batch_size
    found = footprint.estimate(
        fetch.find_weights(job.base, training=True),
        rank=job.settings.rank,
        four_bit=job.base.four_bit,
        shape=BatchShape(size, longest, size * most_labels),
    )
    if found is None:
        return
    with failures.explaining_load(job.base.source, is_four_bit=job.base.four_bit):
        # Memory that this process has reserved is freed again, or holds the base.
        free = torch.cuda.mem_get_info()[0] + torch.cuda.memory_reserved()
    level = logging.WARNING if found.total > free else logging.INFO
    log.log(level, "train: %s", found.describe(free))
