"""Trains an adapter, resuming from the last checkpoint of an interrupted attempt.

Only a worker that has imported `builder.training.unsloth` imports this.
"""

from __future__ import annotations

from typing import Any

from builder.training import checkpoints, cpu, gpu
from builder.training.job import Job
from builder.training.samples import Samples
from builder.training.tracking import Destination, Tracker


def fit(
    job: Job, *, destination: Destination | None = None, samples: Samples | None = None
) -> tuple[Any, list[float]]:
    """Train an adapter.

    Args:
        job: The training.
        destination: Where losses are logged to.
        samples: Asks the model a question now and then.

    Returns:
        The model with its adapter, and the loss of each step.

    Raises:
        ToolError: The loss is not finite, the GPU has no memory for it, or SIGTERM came.

    """
    checkpoints.tell_unused_checkpoint(job.scratch, job.machine)
    tracker = Tracker(destination)
    train = gpu.train if job.machine.kind == "gpu" else cpu.train
    made = train(job, tracker, samples)
    tracker.finish()
    return made
