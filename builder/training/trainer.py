"""TRL's trainer with this project's loss and LoRA+."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from peft.optimizers import create_loraplus_optimizer
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from trl import SFTTrainer

from builder import progress
from builder.data.dataset import Example
from builder.training import failures
from builder.training.batches import Row
from builder.training.failures import StopRequest
from builder.training.loss import next_token_loss

if TYPE_CHECKING:
    from torch import Tensor


# What a batch carries beside what the model takes.
ROWS = "rows"


class PersonaTrainer(SFTTrainer):  # type: ignore[misc] # unsloth replaces the class at import
    """TRL's trainer with this project's loss, and a learning rate of its own for an adapter's B.

    Args:
        learning_rate_ratio: That rate over A's.
        examples: What the data set's column `row` counts, to name those of a loss that is no
            number.

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
        """Make the optimiser that the arguments name, with PEFT's groups of LoRA+."""
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
            ToolError: It is no number.

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


def name_rows(collate: Callable[[list[Row]], dict[str, Tensor]]) -> Callable[[list[Any]], Any]:
    """Let a collator hand on which rows are in a batch, by the column `row`."""

    def collate_with_names(rows: list[Any]) -> dict[str, Tensor]:
        return {**collate(rows), ROWS: torch.tensor([row["row"] for row in rows])}

    return collate_with_names


class Reporter(TrainerCallback):  # type: ignore[misc] # transformers' types are not read
    """Tells how far training is, and ends it with a checkpoint where that is asked for."""

    def __init__(self, request: StopRequest) -> None:
        self.request = request

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Report one more step."""
        del args
        if self.request.is_made:
            control.should_save = control.should_training_stop = True
        progress.report("train", state.global_step, state.max_steps, "steps")
