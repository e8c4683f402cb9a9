"""The training loop of a GPU: each step is a replay of CUDA graphs, eager where capture fails."""

from __future__ import annotations

import gc
import hashlib
import json
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
from builder.progress import Sample, Training
from builder.training import (
    capturable,
    checkpoints,
    failures,
    functions,
    rates,
    resuming,
    shapes,
)
from builder.training.batches import Row
from builder.training.failures import StopRequest
from builder.training.graphs import Eager, Function, Graphs
from builder.training.samples import Samples
from builder.training.settings import Settings
from builder.training.shapes import Batch, Shape, Step
from builder.training.speed import TRAINS, Speed
from builder.training.step import TrainingStep
from builder.training.tracking import Tracker

# Losses are read this often: reading waits for the GPU.
READ_EVERY_STEPS = 25
# Of a 4B a checkpoint is 400 MB; one at each reading would take longer than the steps.
CHECKPOINT_EVERY_S = 20.0
log = logging.getLogger("builder")


@dataclass(frozen=True, kw_only=True)
class Means:
    """How a training runs on a machine."""

    graphs: Graphs
    """How the functions of a step are run."""
    dtype: torch.dtype
    """What the layers compute in."""
    recompute: Callable[[], None]
    """Makes the model compute activations twice, which saves memory."""


def train(
    model: Any,
    examples: list[Example],
    settings: Settings,
    epochs: float,
    *,
    means: Means,
    scratch: Path,
    tracker: Tracker | None = None,
    samples: Samples | None = None,
) -> list[float]:
    """Train an adapter in place.

    Args:
        model: A PEFT model in training mode.
        examples: One epoch, in which a row may come several times.
        settings: The numbers.
        epochs: How often all of it is trained on.
        means: How it runs on this machine.
        scratch: The folder of the checkpoint.
        tracker: Sends losses and learning rates on.
        samples: Asks the model now and then.

    Returns:
        The loss of each step.

    Raises:
        ToolError: The loss is not finite, there is no memory for a step, or SIGTERM came: then
            there is a checkpoint of the step that it came in.

    """
    loop = Loop(model, examples, settings, epochs, means=means, tracker=tracker, samples=samples)
    with failures.awaiting_stop() as request:
        losses = loop.run(scratch / checkpoints.CAPTURED, request)
    model.zero_grad(set_to_none=True)
    return losses


class Loop:
    """Steps in a planned order, and what is done where memory or a capture fails.

    Args:
        model: A PEFT model in training mode.
        examples: One epoch.
        settings: The numbers.
        epochs: How often all of it is trained on.
        means: How it runs on this machine.
        tracker: Sends losses and learning rates on.
        samples: Asks the model now and then.

    """

    def __init__(
        self,
        model: Any,
        examples: list[Example],
        settings: Settings,
        epochs: float,
        *,
        means: Means,
        tracker: Tracker | None = None,
        samples: Samples | None = None,
    ) -> None:
        self.examples, self.settings, self.means = examples, settings, means
        self.step = TrainingStep(model, settings, means.dtype)
        self.rows: list[Row] = [
            {"input_ids": example.input_ids, "labels": example.labels} for example in examples
        ]
        self.labels = [shapes.count_labels(row) for row in self.rows]
        steps = shapes.count_steps(len(examples), settings, epochs)
        lengths = [len(example.input_ids) for example in examples]
        self.planned = shapes.plan_steps(lengths, settings, steps)
        self.plan = _hash(self.planned)
        self.shapes: dict[int, Shape] = {}
        self.graphs, self.is_recomputing = means.graphs, False
        self.tokens = lengths
        self.epochs = len(self.planned) / shapes.count_steps_an_epoch(len(examples), settings)
        self.speed, self.tracker, self.samples = Speed(), tracker or Tracker(None), samples
        self.losses: list[float] = []
        self.unread: list[torch.Tensor] = []

    @property
    def done(self) -> int:
        """Steps after which the weights are as they are."""
        return len(self.losses) + len(self.unread)

    def run(self, checkpoint: Path, request: StopRequest | None = None) -> list[float]:
        """Train to the last step, from a checkpoint where there is one, and give the losses.

        Where a step fails for want of memory or in capture, training goes on from it with less.
        """
        request = request or StopRequest()
        functions.prepare(self.step)
        self.losses = resuming.load(checkpoint, self.step, self.plan)
        if self.done:
            log.info("resuming from step %d", self.done)
            self._report(self.losses)
        longest = max(batch.length for step in self.planned for batch in step)
        while self.done < len(self.planned):
            try:
                with capturable.avoiding_waits(self.step.model, longest), self.graphs.running():
                    self._run_steps(checkpoint, request)
            except PersonaError:
                raise
            except Exception as error:  # whatever keeps torch or Unsloth from being captured
                if not self._can_go_on_after(_find_cause(error)):
                    raise
            self._clear()
        return self.losses

    def _save(self, checkpoint: Path) -> None:
        steps = len(self.planned)
        resuming.save(checkpoint, self.step, self.losses, self.plan, steps=steps)

    def _can_go_on_after(self, cause: BaseException) -> bool:
        """Take less memory, or capture no more, and say whether that may help.

        Only this function's frame names the error: its traceback holds the activations of the step
        that failed, which must be free for the next try.
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
        while self.done < len(self.planned):
            batches = self.planned[self.done]
            factor = rates.find_factor(self.done, self.settings.warmup_steps, len(self.planned))
            self.step.set_rate(factor)
            self.step.labels.fill_(self._count_labels(batches))
            for batch in batches:
                self.step.fill(self.shapes[batch.length], self._take_rows(batch))
                accumulate[batch.length]()
            loss = self.step.loss.clone()
            update()
            self.unread.append(loss)
            if self.done % READ_EVERY_STEPS == 0 or self.done == len(self.planned):
                self._read_losses()
                if time.monotonic() - saved_s >= CHECKPOINT_EVERY_S:
                    self._save(checkpoint)
                    saved_s = time.monotonic()
            if request.is_made and self.done < len(self.planned):
                self._read_losses()
                self._save(checkpoint)
                raise failures.describe_stop(self.done, len(self.planned))

    def _make_functions(self) -> tuple[dict[int, Function], Function]:
        progress.report("prepares the training step")
        self.shapes = shapes.find_shapes(self.planned, self.rows)
        left = [batch for step in self.planned[self.done :] for batch in step]
        accumulate = {}
        # The longest first: the others fit into the memory that its graph leaves.
        for length in sorted({batch.length for batch in left}, reverse=True):
            batch = next(batch for batch in left if batch.length == length)
            self.step.labels.fill_(self._count_labels((batch,)))
            accumulate[length] = functions.make_accumulate(
                self.step, self.graphs, self.shapes[length], self._take_rows(batch)
            )
        return accumulate, functions.make_update(self.step, self.graphs)

    def _take_rows(self, batch: Batch) -> list[Row]:
        return [self.rows[row] for row in batch.rows]

    def _count_labels(self, batches: Step) -> int:
        return max(1, sum(self.labels[row] for batch in batches for row in batch.rows))

    def _read_losses(self) -> None:
        """Wait for the losses of the last steps, where any are unread.

        Raises:
            ToolError: One is not finite.

        """
        values = torch.stack(self.unread).tolist() if self.unread else []
        for loss in values:
            if not math.isfinite(loss):
                raise self._describe_loss(loss)
            self.losses.append(loss)
            del self.unread[0]
        steps = self.planned[self.done - len(values) : self.done]
        rows = (row for step in steps for batch in step for row in batch.rows)
        self.speed.add(sum(self.tokens[row] for row in rows))
        done, planned = self.done, len(self.planned)
        sample = self.samples.take(self.step.model, done, planned) if self.samples else None
        self._report(values, sample)
        self.tracker.log(self.done, values, self._list_rates(len(values)))

    def _list_rates(self, count: int) -> list[float]:
        """List the learning rates, of an adapter's A, of the last steps."""
        warmup, steps = self.settings.warmup_steps, len(self.planned)
        factors = (
            rates.find_factor(at, warmup, steps) for at in range(self.done - count, self.done)
        )
        return [self.settings.learning_rate * factor for factor in factors]

    def _report(self, losses: list[float], sample: Sample | None = None) -> None:
        """Tell how far training is, with the losses of the steps since the last time."""
        done, planned, epochs = self.done, len(self.planned), max(1, math.ceil(self.epochs))
        training = Training(
            losses=tuple(losses),
            epoch=min(epochs, max(1, math.ceil(self.epochs * done / planned))),
            epochs=epochs,
            tokens_per_s=self.speed.per_s,
            sample=sample,
        )
        progress.report(TRAINS, done, planned, "steps", training)

    def _describe_loss(self, loss: float) -> ToolError:
        at = len(self.losses)
        rows = dict.fromkeys(row for batch in self.planned[at] for row in batch.rows)
        return failures.describe_loss(loss, at + 1, [self.examples[row] for row in rows])

    def _take_less_memory(self) -> None:
        """Go one rung down: half of the rows at once, then activations computed twice.

        Raises:
            ToolError: There is no rung left.

        """
        at_once = max(len(batch.rows) for step in self.planned for batch in step)
        if at_once > 1:
            self.planned = [shapes.halve(step) for step in self.planned]
            what = f"with {(at_once + 1) // 2} rows at once, was {at_once}"
        elif not self.is_recomputing:
            self.means.recompute()
            self.is_recomputing = True
            self.graphs = Eager()  # it moves activations to the processor's memory and back
            what = "with activations computed twice"
        else:
            is_four_bit = getattr(self.step.model, "is_loaded_in_4bit", False)
            raise failures.describe_no_room(self.done, is_four_bit=is_four_bit)
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
        """Give back what a step that was cut short has left."""
        self.step.clear()
        gc.collect()
        if self.step.device.type == "cuda":
            torch.cuda.empty_cache()


def _find_cause(error: BaseException) -> BaseException:
    """Find the first error: the end of a capture that failed raises another one."""
    while error.__context__ is not None:
        error = error.__context__
    return error


def _hash(planned: list[Step]) -> str:
    values = [[[batch.length, *batch.rows] for batch in step] for step in planned]
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()
