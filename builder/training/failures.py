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
# What to do where a GPU has no memory, with weights in 16 bit and in 4 bit.
TAKE_4_BIT = "end what else uses the GPU (`nvidia-smi`), or set training.four_bit = true"
TAKE_SMALLER = "end what else uses the GPU (`nvidia-smi`), or take a smaller base: --base"
# How CUDA and cuBLAS say that there is no memory, where it is not torch that asks for it.
NO_MEMORY = ("CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED")
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


def is_out_of_memory(error: BaseException) -> bool:
    """Say whether an error is that a GPU has no memory left."""
    is_torch = isinstance(error, torch.OutOfMemoryError)
    return is_torch or any(text in str(error) for text in NO_MEMORY)


def describe_no_room(step: int, *, is_four_bit: bool) -> ToolError:
    """Tell of a training for which a GPU has no memory, whatever was tried.

    Args:
        step: The optimiser steps that were done.
        is_four_bit: Whether the base's weights are in 4 bit already.

    """
    return ToolError(
        f"train: the GPU has no memory for step {step + 1} with one row at once and activations "
        "computed twice, expected room for it",
        hint=TAKE_SMALLER if is_four_bit else TAKE_4_BIT,
    )


@contextmanager
def explaining_load(source: str, *, is_four_bit: bool = True) -> Iterator[None]:
    """Say in one sentence that a GPU has no room for a base.

    Args:
        source: The base.
        is_four_bit: Whether its weights are loaded in 4 bit.

    Raises:
        ToolError: It has none.

    """
    try:
        yield
    except (RuntimeError, ValueError) as error:
        is_refused = any(text in str(error) for text in OTHER_REFUSALS)
        if not is_refused and not is_out_of_memory(error):
            raise
        gpu = machine.inspect_gpu()
        free = (
            f" ({gpu.free_bytes / 1e9:.1f} of {gpu.memory_bytes / 1e9:.1f} GB free)" if gpu else ""
        )
        held = f"; {_name_processes(gpu.processes)} it" if gpu and gpu.processes else ""
        msg = f"{source}: the GPU has no memory for its weights{free}, expected room{held}"
        raise ToolError(msg, hint=TAKE_SMALLER if is_four_bit else TAKE_4_BIT) from None


def _name_processes(processes: Sequence[int]) -> str:
    numbers = ", ".join(map(str, processes))
    return f"process {numbers} uses" if len(processes) == 1 else f"processes {numbers} use"


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
