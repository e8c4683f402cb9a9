"""TRL's trainer, with this project's loss and LoRA+."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from peft.optimizers import create_loraplus_optimizer
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from trl import SFTTrainer

from builder import progress
from builder.data.dataset import Example
from builder.progress import Sample, Training
from builder.training import failures
from builder.training.batches import TokenRow
from builder.training.failures import StopRequest
from builder.training.loss import next_token_loss
from builder.training.samples import Samples
from builder.training.speed import TRAINS, Speed
from builder.training.tracking import Tracker

if TYPE_CHECKING:
    from torch import Tensor


# The key of a batch that holds the numbers of its rows.
ROWS = "rows"


class PersonaTrainer(SFTTrainer):  # type: ignore[misc] # unsloth replaces the class at import
    """TRL's trainer with this project's loss, and a separate learning rate for the B matrices.

    Args:
        learning_rate_ratio: The learning rate of B, over that of A.
        examples: The rows by number, to name those whose loss is not finite.

    """

    def __init__(
        self,
        *arguments: Any,
        learning_rate_ratio: float,
        examples: Sequence[Example] = (),
        **options: Any,
    ) -> None:
        super().__init__(*arguments, **options)
        self.learning_rate_ratio, self.examples = learning_rate_ratio, examples

    def create_optimizer(self, model: Any = None) -> Any:
        """Make the optimiser in the arguments, with PEFT's parameter groups for LoRA+."""
        model = self.model if model is None else model
        kind, options = self.get_optimizer_cls_and_kwargs(self.args, model)
        self.optimizer = create_loraplus_optimizer(
            model,
            kind,
            loraplus_lr_ratio=self.learning_rate_ratio,
            loraplus_weight_decay=self.args.weight_decay,
            **options,
        )
        return self.optimizer

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,  # noqa: FBT001, FBT002 — transformers' signature
        num_items_in_batch: Tensor | None = None,
    ) -> Any:
        """Compute the loss of one batch; see `next_token_loss`.

        Raises:
            ToolError: It is not finite.

        """
        rows = inputs.pop(ROWS, None)
        loss = next_token_loss(self.accelerator.unwrap_model(model), inputs, num_items_in_batch)
        if not loss.isfinite():
            found = [] if rows is None else [self.examples[row] for row in rows.tolist()]
            at = self.state.global_step + 1
            raise failures.describe_loss(
                loss.item(), at, list({id(row): row for row in found}.values())
            )
        return (loss, None) if return_outputs else loss


def name_rows(collate: Callable[[list[TokenRow]], dict[str, Tensor]]) -> Callable[[list[Any]], Any]:
    """Make a collator add the numbers of its rows to a batch, from the column `row`."""

    def collate_with_names(rows: list[Any]) -> dict[str, Tensor]:
        return {**collate(rows), ROWS: torch.tensor([row["row"] for row in rows])}

    return collate_with_names


class Reporter(TrainerCallback):  # type: ignore[misc] # transformers' types are not read
    """Reports the progress of training with the loss of each step, and ends it on request.

    Args:
        tokens_a_step: The mean number of tokens in a step.
        tracker: Logs losses and learning rates.
        request: Whether training should end.
        samples: Asks the model a question now and then.

    """

    def __init__(
        self,
        tokens_a_step: float,
        tracker: Tracker,
        request: StopRequest,
        samples: Samples | None = None,
    ) -> None:
        self.tracker, self.request, self.samples = tracker, request, samples
        self.speed = Speed()
        self.tokens_a_step = tokens_a_step

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Report the steps of an interrupted attempt."""
        del args, control
        losses = [entry["loss"] for entry in state.log_history if "loss" in entry]
        if losses:
            self._report(state, losses)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """End training on request."""
        del args, state
        if self.request.is_made:
            control.should_save = control.should_training_stop = True

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        *,
        model: Any = None,
        **_: Any,
    ) -> None:
        """Report a step; the log at the end of training has no loss."""
        del args, control
        if logs and "loss" in logs:
            self.speed.add(self.tokens_a_step)
            done, steps = state.global_step, state.max_steps
            sample = self.samples.take(model, done, steps) if self.samples else None
            self._report(state, [logs["loss"]], sample)
            self.tracker.log(done, [logs["loss"]], [logs.get("learning_rate", 0.0)])

    def _report(
        self, state: TrainerState, losses: list[float], sample: Sample | None = None
    ) -> None:
        epochs = max(1, math.ceil(state.num_train_epochs))
        training = Training(
            losses=tuple(losses),
            epoch=min(epochs, max(1, math.ceil(state.epoch or 0))),
            epochs=epochs,
            tokens_per_s=self.speed.per_s,
            sample=sample,
        )
        progress.report(TRAINS, state.global_step, state.max_steps, "steps", training)
