"""What holds on a machine: which checkpoint is gone on from, which attention, and compiling."""

from __future__ import annotations

import logging
from pathlib import Path

from builder.machine import Machine
from builder.training import resuming
from builder.training.settings import Settings

# In bfloat16 on a CPU torch's fused attention is slower than plain products
# (benchmarks/train.py), whose memory grows with the square of the length.
PLAIN_ATTENTION_TOKENS = 512
# Compiling the layers takes as long as it saves in so many steps on a CPU, the first time on a
# machine (benchmarks/train.py).
COMPILE_FROM_STEPS = 150
log = logging.getLogger("builder")


def find_newest_checkpoint(scratch: Path) -> Path | None:
    """Find the newest checkpoint that a kill did not cut short."""
    complete = [
        path for path in scratch.glob("checkpoint-*") if (path / "trainer_state.json").is_file()
    ]
    return max(complete, key=lambda path: int(path.name.rsplit("-", 1)[1]), default=None)


def tell_unused_checkpoint(scratch: Path, machine: Machine) -> None:
    """Say that training begins anew, where a checkpoint is there of the other kind of machine.

    A GPU's and a processor's are of different trainers, and neither reads the other's.
    """
    captured = scratch / resuming.NAME
    own, other = (captured.is_file(), find_newest_checkpoint(scratch) is not None)
    trained, trains = "a processor", "a GPU"
    if machine.kind == "cpu":
        own, other, trained, trains = other, own, trains, trained
    if other and not own:
        log.warning(
            "train: the checkpoint that is here was made on %s; on %s training begins anew",
            trained,
            trains,
        )


def choose_attention(tokens: int, machine: Machine) -> str | None:
    """Name the attention for batches of so many tokens; None is Unsloth's choice."""
    is_plain = machine.kind == "cpu" and machine.has_bf16 and tokens <= PLAIN_ATTENTION_TOKENS
    return "eager" if is_plain else None


def is_worth_compiling(settings: Settings, rows: int, epochs: float, machine: Machine) -> bool:
    """Say whether a training has the steps to win back what compiling its layers costs."""
    rows_a_step = settings.batch_size * settings.gradient_accumulation
    steps = settings.max_steps or rows * epochs / rows_a_step
    return machine.kind == "cpu" and steps >= COMPILE_FROM_STEPS
