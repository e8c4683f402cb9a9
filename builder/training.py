"""The training step: rows into one batch, and the loss at the trained positions alone.

Only the train stage's child imports this.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F  # noqa: N812 — the field's name for it
from peft.optimizers import create_loraplus_optimizer
from torch import Tensor
from torch._dynamo import config as dynamo
from torch.nn.utils.rnn import pad_sequence
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from trl import SFTTrainer

from builder import progress
from builder.conversation import IGNORED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np

Row = dict[str, list[int]]
# Eight short ones at once take four tenths of the time of one after another on two cores.
TEXTS_AT_ONCE = 8
log = logging.getLogger("builder")


def pack(rows: list[Row]) -> dict[str, Tensor]:
    """Lay rows end to end in one sequence, none seeing another.

    Returns:
        `input_ids`, `labels` and `position_ids`, shape (1, T), and a block-diagonal causal
        `attention_mask`, shape (1, 1, T, T), float32. The first token of a row is never a label.

    """
    ids = torch.tensor([token for row in rows for token in row["input_ids"]])
    labels = torch.tensor([label for row in rows for label in [IGNORED, *row["labels"][1:]]])
    positions = torch.cat([torch.arange(len(row["input_ids"])) for row in rows])
    owner = torch.repeat_interleave(torch.arange(len(rows)), torch.tensor([len(row["input_ids"]) for row in rows]))
    allowed = (owner[:, None] == owner[None, :]) & torch.ones(len(ids), len(ids), dtype=torch.bool).tril()
    mask = torch.zeros(len(ids), len(ids)).masked_fill(~allowed, torch.finfo(torch.float32).min)
    return {"input_ids": ids[None], "labels": labels[None], "position_ids": positions[None], "attention_mask": mask[None, None]}


def pad(rows: list[Row]) -> dict[str, Tensor]:
    """Pad rows on the right to one length; causal attention never looks there, so no mask is needed.

    Returns:
        `input_ids` and `labels`, shape (B, T).

    """
    ids, labels = ([torch.tensor(row[name]) for row in rows] for name in ("input_ids", "labels"))
    return {"input_ids": pad_sequence(ids, batch_first=True), "labels": pad_sequence(labels, batch_first=True, padding_value=IGNORED)}


def next_token_loss(model: Any, batch: dict[str, Tensor], tokens: Tensor | float | None = None) -> Tensor:
    """Compute the mean cross-entropy over the labels, with logits at labelled positions only.

    Args:
        model: A PEFT model around a causal language model.
        batch: What `pack` or `pad` made.
        tokens: Labels in the whole optimiser step, where it has several batches.

    """
    causal = model.get_base_model()
    inputs = {key: value for key, value in batch.items() if key != "labels"}
    hidden = causal.model(**inputs, use_cache=False)[0]  # (B, T, C)
    target = batch["labels"][:, 1:]
    at = target != IGNORED
    logits = causal.lm_head(hidden[:, :-1][at]).float()  # (N, V)
    return F.cross_entropy(logits, target[at], reduction="sum") / (at.sum() if tokens is None else tokens)


@torch.no_grad()
def log_probs(model: Any, texts: Sequence[list[int]]) -> Iterator[np.ndarray[Any, Any]]:
    """Give the log-probabilities of what follows each token of each text, shape (T, V), float32.

    Several texts go through the layers at once, padded on the right, where no token of theirs looks.
    """
    causal = model.get_base_model()
    for start in range(0, len(texts), TEXTS_AT_ONCE):
        batch = texts[start : start + TEXTS_AT_ONCE]
        ids = pad_sequence([torch.tensor(text) for text in batch], batch_first=True).to(model.device)  # (B, T)
        for text, hidden in zip(batch, causal.model(input_ids=ids, use_cache=False)[0], strict=True):  # (T, C)
            yield causal.lm_head(hidden[: len(text)]).float().log_softmax(-1).cpu().numpy()


def compile_layers(model: Any) -> None:
    """Let torch compile a model's layers: one compilation for all of them, and for batches of any length.

    Without a C++ compiler or Python's headers they stay as they are.
    """
    progress.report("compiling the layers", 0, 0, "")
    try:
        torch.compile(torch.square)(torch.ones(8))
    except Exception as error:  # noqa: BLE001 — whatever keeps torch from compiling
        reason = str(error).strip().partition("\n")[0]
        log.warning("train: its layers cannot be compiled, which takes half as long again (%s); on Debian: apt install build-essential python3-dev", reason)
        return
    dynamo.suppress_errors = True  # a kind of layer that torch cannot compile runs as it is
    model.enable_input_require_grads()  # else the first layer, whose input needs no gradient, is compiled apart
    for layer in model.get_base_model().model.layers:
        layer.compile(dynamic=True)


class PersonaTrainer(SFTTrainer):  # type: ignore[misc] # unsloth replaces the class at import
    """TRL's trainer with this project's loss, and a learning rate of its own for an adapter's B.

    Args:
        learning_rate_ratio: That rate over A's.

    """

    def __init__(self, *arguments: Any, learning_rate_ratio: float, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.learning_rate_ratio = learning_rate_ratio

    def create_optimizer(self, model: Any = None) -> Any:
        """Make the optimiser that the arguments name, with PEFT's groups of LoRA+."""
        model = self.model if model is None else model
        kind, options = self.get_optimizer_cls_and_kwargs(self.args, model)
        self.optimizer = create_loraplus_optimizer(model, kind, loraplus_lr_ratio=self.learning_rate_ratio, loraplus_weight_decay=self.args.weight_decay, **options)
        return self.optimizer

    def compute_loss(self, model: Any, inputs: dict[str, Tensor], return_outputs: bool = False, num_items_in_batch: Tensor | None = None) -> Any:  # noqa: FBT001, FBT002 — TRL's signature
        """Compute the loss of one batch; see `next_token_loss`."""
        loss = next_token_loss(self.accelerator.unwrap_model(model), inputs, num_items_in_batch)
        return (loss, None) if return_outputs else loss


class Reporter(TrainerCallback):  # type: ignore[misc] # transformers' types are not read
    """Tells how far training is, and keeps every step's loss."""

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Report one more step."""
        del args, control
        progress.report("train", state.global_step, state.max_steps, "steps")
