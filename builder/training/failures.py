"""The errors that end a training: a loss that is not finite, a GPU without memory, SIGTERM."""

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
# What to do if a GPU has no memory left, with weights in 16 bit and in 4 bit.
TAKE_4_BIT = "end what else uses the GPU (`nvidia-smi`), or set training.four_bit = true"
TAKE_SMALLER = "end what else uses the GPU (`nvidia-smi`), or take a smaller base: --base"
# The messages of CUDA and cuBLAS if they, and not torch, run out of memory.
NO_MEMORY = ("CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED")
# The messages of accelerate if 4-bit weights do not fit, and of CUDA if another process has the GPU
# for itself.
NO_ROOM, IS_BUSY = "dispatched on the CPU", "busy or unavailable"


def describe_loss(loss: float, step: int, rows: Sequence[Example]) -> ToolError:
    """Describe a loss that is not finite.

    Args:
        loss: The loss.
        step: The optimiser step, counted from 1.
        rows: The rows of that step.

    """
    asked = (
        next((said["content"] for said in row.messages[::-1] if said["role"] == "user"), "")
        for row in rows
    )
    return ToolError(
        f"train: the loss became {loss} at step {step}, expected a number; its rows:",
        *(f"  {text[:SHOWN_CHARACTERS]!r}" for text in asked),
        hint="lower training.learning_rate, or correct the row",
    )


def is_out_of_memory(error: BaseException) -> bool:
    """Say whether an error means that a GPU has no memory left."""
    is_torch = isinstance(error, torch.OutOfMemoryError)
    return is_torch or any(text in str(error) for text in NO_MEMORY)


def describe_no_room(step: int, *, is_four_bit: bool) -> ToolError:
    """Describe a training that does not fit into the GPU's memory, whatever was tried.

    Args:
        step: The number of optimiser steps done.
        is_four_bit: Whether the base's weights are in 4 bit already.

    """
    return ToolError(
        f"train: the GPU has no memory for step {step + 1} with one row at once and activations "
        "computed twice, expected room for it",
        hint=TAKE_SMALLER if is_four_bit else TAKE_4_BIT,
    )


@contextmanager
def explaining_load(source: str, *, is_four_bit: bool = True) -> Iterator[None]:
    """Turn the errors of a GPU that cannot take a base into one sentence.

    Args:
        source: The base.
        is_four_bit: Whether its weights are loaded in 4 bit.

    Raises:
        ToolError: The GPU has no room for it, or another process has the GPU for itself.

    """
    try:
        yield
    except (RuntimeError, ValueError) as error:
        gpu = machine.inspect_gpu()
        if IS_BUSY in str(error):
            raise _describe_busy(source, gpu.processes if gpu else ()) from None
        if NO_ROOM not in str(error) and not is_out_of_memory(error):
            raise
        free = (
            f" ({gpu.free_bytes / 1e9:.1f} of {gpu.memory_bytes / 1e9:.1f} GB free)" if gpu else ""
        )
        held = f"; {_name_processes(gpu.processes)} it" if gpu and gpu.processes else ""
        msg = f"{source}: the GPU has no memory for its weights{free}, expected room{held}"
        raise ToolError(msg, hint=TAKE_SMALLER if is_four_bit else TAKE_4_BIT) from None


def _describe_busy(source: str, processes: Sequence[int]) -> ToolError:
    held = f"; {_name_processes(processes)} it" if processes else ""
    return ToolError(
        f"{source}: another process has the GPU for itself, expected to share it{held}",
        hint="end what uses the GPU (`nvidia-smi`), or allow several with `nvidia-smi -c 0`",
    )


def _name_processes(processes: Sequence[int]) -> str:
    numbers = ", ".join(map(str, processes))
    return f"process {numbers} uses" if len(processes) == 1 else f"processes {numbers} use"


class StopRequest:
    """Whether this process was asked to end; training then ends after the current step."""

    def __init__(self) -> None:
        self.is_made = False

    def make(self, _signal: int, _frame: FrameType | None) -> None:
        """Record the request; this is a signal handler."""
        self.is_made = True


@contextmanager
def awaiting_stop() -> Iterator[StopRequest]:
    """Handle SIGTERM as a request inside the context, instead of ending the process at once."""
    request = StopRequest()
    before = signal.signal(signal.SIGTERM, request.make)
    try:
        yield request
    finally:
        signal.signal(signal.SIGTERM, before)


def describe_stop(step: int, steps: int) -> ToolError:
    """Describe a training that ended on request, with a checkpoint of its last step."""
    return ToolError(
        f"train: was asked to end, and stopped after step {step} of {steps} with a checkpoint",
        hint="build again: training goes on from there",
    )
