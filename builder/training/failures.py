"""What ends a training, as sentences: a loss that is no number, a GPU without memory, SIGTERM."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

import torch

from builder import machine
from builder.data.dataset import Example
from builder.errors import ToolError

SHOWN_CHARACTERS = 60
# How accelerate says that 4-bit weights do not fit, and CUDA that another process has the GPU.
OTHER_REFUSALS = ("dispatched on the CPU", "busy or unavailable")


def describe_loss(loss: float, step: int, rows: Sequence[Example]) -> ToolError:
    """Tell of a loss that is no number.

    Args:
        loss: What it became.
        step: The optimiser step, counted from 1.
        rows: Those that were in it.

    """
    asked = (
        next((said["content"] for said in row.messages[::-1] if said["role"] == "user"), "")
        for row in rows
    )
    return ToolError(
        f"train: the loss became {loss} at step {step}, expected a number; its rows:",
        *(f"  {text[:SHOWN_CHARACTERS]!r}" for text in asked),
        hint="lower training.learning_rate, or mend the row",
    )


@contextmanager
def explaining_load(source: str) -> Iterator[None]:
    """Say in one sentence that a GPU has no room for a base.

    Raises:
        ToolError: It has none.

    """
    try:
        yield
    except (RuntimeError, ValueError) as error:
        is_full = isinstance(error, torch.OutOfMemoryError)
        if not is_full and not any(text in str(error) for text in OTHER_REFUSALS):
            raise
        gpu = machine.inspect_gpu()
        free = (
            f" ({gpu.free_bytes / 1e9:.1f} of {gpu.memory_bytes / 1e9:.1f} GB free)" if gpu else ""
        )
        held = (
            f"; process {', '.join(map(str, gpu.processes))} uses it"
            if gpu and gpu.processes
            else ""
        )
        msg = f"{source}: the GPU has no memory for its weights{free}, expected room{held}"
        hint = "end what else uses the GPU (`nvidia-smi`), or take a smaller base: --base"
        raise ToolError(msg, hint=hint) from None


class StopRequest:
    """Whether this process was asked to end; a training then ends after its step."""

    def __init__(self) -> None:
        self.is_made = False

    def make(self, _signal: int, _frame: FrameType | None) -> None:
        """Note the request; it is a handler of signals."""
        self.is_made = True


@contextmanager
def awaiting_stop() -> Iterator[StopRequest]:
    """Take SIGTERM as a request meanwhile, which ends this process at once elsewhere."""
    request = StopRequest()
    before = signal.signal(signal.SIGTERM, request.make)
    try:
        yield request
    finally:
        signal.signal(signal.SIGTERM, before)


def describe_stop(step: int, steps: int) -> ToolError:
    """Tell of a training that ended as it was asked to, with a checkpoint of its last step."""
    return ToolError(
        f"train: was asked to end, and stopped after step {step} of {steps} with a checkpoint",
        hint="build again: training goes on from there",
    )
