"""The training loop on a GPU: each step replays CUDA graphs, or runs eagerly if capture fails."""

from __future__ import annotations

import gc
import logging
import math
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from builder import progress
from builder.data.dataset import Example
from builder.errors import PersonaError, ToolError
from builder.training import capturable, checkpoints, failures, functions, rates, resuming
from builder.training.failures import StopRequest
from builder.training.graphs import Eager, Function, Graphs
from builder.training.monitor import Monitor
from builder.training.plan import Plan
from builder.training.samples import Samples
from builder.training.settings import Settings
from builder.training.shapes import BatchShape
from builder.training.step import TrainingStep
from builder.training.tracking import Tracker

# How often losses are read: reading waits for the GPU.
READ_EVERY_STEPS = 25
# A checkpoint of a 4B is 400 MB: writing one at each reading would take longer than the steps.
CHECKPOINT_EVERY_S = 20.0
log = logging.getLogger("builder")


@dataclass(frozen=True, kw_only=True)
class Execution:
    """How training runs on a machine."""

    graphs: Graphs
    """Runs the functions of a step."""
    dtype: torch.dtype
    """The type that the layers compute in."""
    recompute: Callable[[], None]
    """Turns on gradient checkpointing, which saves memory."""


def train(
    model: Any,
    examples: list[Example],
    settings: Settings,
    epochs: float,
    *,
    execution: Execution,
    scratch: Path,
    tracker: Tracker | None = None,
    samples: Samples | None = None,
) -> list[float]:
    """Train an adapter in place.

    Args:
        model: A PEFT model in training mode.
        examples: One epoch, in which a row may be repeated.
        settings: The settings.
        epochs: The number of epochs.
        execution: How it runs on this machine.
        scratch: The folder of the checkpoint.
        tracker: Logs losses and learning rates.
        samples: Asks the model a question now and then.

    Returns:
        The loss of each step.

    Raises:
        ToolError: The loss is not finite, there is no memory for a step, or SIGTERM came, in
            which case the last step was saved in a checkpoint.

    """
    loop = Loop(
        model, examples, settings, epochs, execution=execution, tracker=tracker, samples=samples
    )
    with failures.awaiting_stop() as request:
        losses = loop.run(scratch / checkpoints.CAPTURED, request)
    model.zero_grad(set_to_none=True)
    return losses


class Loop:
    """Runs the planned steps, and handles failures of memory and of capture.

    Args:
        model: A PEFT model in training mode.
        examples: One epoch.
        settings: The settings.
        epochs: The number of epochs.
        execution: How it runs on this machine.
        tracker: Logs losses and learning rates.
        samples: Asks the model a question now and then.

    """

    def __init__(
        self,
        model: Any,
        examples: list[Example],
        settings: Settings,
        epochs: float,
        *,
        execution: Execution,
        tracker: Tracker | None = None,
        samples: Samples | None = None,
    ) -> None:
        self.settings, self.execution = settings, execution
        self.step = TrainingStep(model, settings, execution.dtype)
        self.plan = Plan(examples, settings, epochs)
        self.shapes: dict[int, BatchShape] = {}
        self.graphs, self.is_recomputing = execution.graphs, False
        self.monitor = Monitor(self.plan, settings, tracker, samples)
        self.losses: list[float] = []
        self.unread: list[torch.Tensor] = []

    @property
    def done(self) -> int:
        """The number of steps done."""
        return len(self.losses) + len(self.unread)

    def run(self, checkpoint: Path, request: StopRequest | None = None) -> list[float]:
        """Train to the last step, from a checkpoint if there is one, and return the losses.

        If a step runs out of memory or cannot be captured, training continues from it with less.
        """
        request = request or StopRequest()
        functions.prepare(self.step)
        self.losses = resuming.load(checkpoint, self.step, self.plan.key)
        if self.done:
            log.info("resuming from step %d", self.done)
            self.monitor.resume(self.losses)
        while self.done < len(self.plan):
            try:
                with (
                    capturable.avoiding_waits(self.step.model, self.plan.longest),
                    self.graphs.running(),
                ):
                    self._run_steps(checkpoint, request)
            except PersonaError:
                raise
            except Exception as error:  # whatever keeps torch or Unsloth from being captured
                if not self._can_go_on_after(_find_cause(error)):
                    raise
            self._clear()
        return self.losses

    def _save(self, checkpoint: Path) -> None:
        steps = len(self.plan)
        resuming.save(checkpoint, self.step, self.losses, self.plan.key, steps=steps)

    def _can_go_on_after(self, cause: BaseException) -> bool:
        """Use less memory, or stop capturing; return whether that can help.

        Only this function's frame refers to the error: its traceback holds the activations of the
        failed step, which must be freed before the next attempt.
        """
        if failures.is_out_of_memory(cause):
            self._take_less_memory()
        elif isinstance(self.graphs, Eager):
            return False
        else:
            self._give_up_capture(cause)
        return True

    def _run_steps(self, checkpoint: Path, request: StopRequest) -> None:
        accumulate, update = self._make_functions()
        saved_s = time.monotonic()
        while self.done < len(self.plan):
            batches = self.plan.steps[self.done]
            factor = rates.find_factor(self.done, self.settings.warmup_steps, len(self.plan))
            self.step.set_rate(factor)
            self.step.labels.fill_(self.plan.count_labels(batches))
            for batch in batches:
                self.step.fill(self.shapes[batch.length], self.plan.take_rows(batch))
                accumulate[batch.length]()
            loss = self.step.loss.clone()
            update()
            self.unread.append(loss)
            if self.done % READ_EVERY_STEPS == 0 or self.done == len(self.plan):
                self._read_losses()
                if time.monotonic() - saved_s >= CHECKPOINT_EVERY_S:
                    self._save(checkpoint)
                    saved_s = time.monotonic()
            if request.is_made and self.done < len(self.plan):
                self._read_losses()
                self._save(checkpoint)
                raise failures.describe_stop(self.done, len(self.plan))

    def _make_functions(self) -> tuple[dict[int, Function], Function]:
        progress.report("prepares the training step")
        self.shapes = self.plan.find_shapes()
        left = list(self.plan.list_batches(self.done))
        accumulate = {}
        # The longest first: the others fit into the memory of its graph.
        for length in sorted({batch.length for batch in left}, reverse=True):
            batch = next(batch for batch in left if batch.length == length)
            self.step.labels.fill_(self.plan.count_labels((batch,)))
            accumulate[length] = functions.make_accumulate(
                self.step, self.graphs, self.shapes[length], self.plan.take_rows(batch)
            )
        return accumulate, functions.make_update(self.step, self.graphs)

    def _read_losses(self) -> None:
        """Wait for the losses of the last steps, if any are unread.

        Raises:
            ToolError: One is not finite.

        """
        values = torch.stack(self.unread).tolist() if self.unread else []
        for loss in values:
            if not math.isfinite(loss):
                raise self._describe_loss(loss)
            self.losses.append(loss)
            del self.unread[0]
        self.monitor.tell(self.step.model, self.done, values)

    def _describe_loss(self, loss: float) -> ToolError:
        at = len(self.losses)
        return failures.describe_loss(loss, at + 1, self.plan.take_examples(at))

    def _take_less_memory(self) -> None:
        """Halve the rows at once, and when there is one, turn on gradient checkpointing.

        Raises:
            ToolError: Both have been done.

        """
        at_once = self.plan.rows_at_once
        if at_once > 1:
            self.plan.halve_batches()
            what = f"with {(at_once + 1) // 2} rows at once, was {at_once}"
        elif not self.is_recomputing:
            self.execution.recompute()
            self.is_recomputing = True
            self.graphs = Eager()  # Unsloth's checkpointing moves activations to the CPU and back
            what = "with activations computed twice"
        else:
            is_four_bit = getattr(self.step.model, "is_loaded_in_4bit", False)
            step = min(self.done, len(self.plan) - 1)  # reading the last losses needs memory too
            raise failures.describe_no_room(step, is_four_bit=is_four_bit)
        log.warning("train: out of GPU memory; going on from step %d %s", self.done, what)

    def _give_up_capture(self, cause: BaseException) -> None:
        traceback.print_exception(cause)  # into the stage's log
        reason = str(cause).strip().partition("\n")[0] or type(cause).__name__
        log.warning(
            "train: a step cannot be captured as a CUDA graph (%s); training goes on without, "
            "and takes about five times as long",
            reason,
        )
        self.graphs = Eager()

    def _clear(self) -> None:
        """Free what an interrupted step has left."""
        self.step.clear()
        gc.collect()
        if self.step.device.type == "cuda":
            torch.cuda.empty_cache()


def _find_cause(error: BaseException) -> BaseException:
    """Find the first error: ending a failed capture raises another one."""
    while error.__context__ is not None:
        error = error.__context__
    return error
