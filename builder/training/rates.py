"""The learning rate of each step: linear warmup, then linear decay to zero."""

from __future__ import annotations


def find_factor(step: int, warmup_steps: int, steps: int) -> float:
    """Compute the factor for the learning rate at a step, counted from 0.

    Source:
        transformers 5.17, optimization.py, `get_linear_schedule_with_warmup`.

    """
    if step < warmup_steps:
        return step / max(1, warmup_steps)
    return max(0.0, (steps - step) / max(1, steps - warmup_steps))
