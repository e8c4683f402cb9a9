"""Trains an adapter with TRL, resuming from the last checkpoint of an interrupted try.

Only a worker that has imported `builder.training.unsloth` imports this.
"""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any

import datasets
from trl import SFTConfig

from builder.bases.base import Base
from builder.data.dataset import Example
from builder.errors import DataError, ToolError
from builder.machine import Machine
from builder.training import choices, loading
from builder.training.batches import pack, pad
from builder.training.compiling import compile_layers
from builder.training.decoder import can_pack
from builder.training.settings import Settings
from builder.training.trainer import PersonaTrainer, Reporter

CHECKPOINT_EVERY_STEPS = 25
log = logging.getLogger("builder")


def fit(
    chosen: Base,
    rows: list[Example],
    settings: Settings,
    epochs: float,
    *,
    machine: Machine,
    scratch: Path,
) -> tuple[Any, list[float]]:
    """Train an adapter on rows.

    Args:
        chosen: The base.
        rows: One epoch, in which a row may come several times.
        settings: The numbers.
        epochs: How often all of it is trained on.
        machine: Decides the precision, and what pays.
        scratch: The folder of the checkpoints.

    Returns:
        The model with its adapter, and the loss of each step.

    Raises:
        ToolError: The loss is not finite.

    """
    if checkpoint := choices.find_newest_checkpoint(scratch):
        log.info("resuming from step %s", checkpoint.name.removeprefix("checkpoint-"))
    trainer = _make_trainer(chosen, rows, settings, epochs, machine=machine, scratch=scratch)
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    if not losses or not all(math.isfinite(loss) for loss in losses):
        msg = f"train: the loss became {losses[-1] if losses else 'nothing'}, expected a number"
        raise ToolError(msg, hint="lower training.learning_rate")
    return trainer.model, losses


def _make_trainer(
    chosen: Base,
    rows: list[Example],
    settings: Settings,
    epochs: float,
    *,
    machine: Machine,
    scratch: Path,
) -> Any:
    longest = max(len(row.input_ids) for row in rows)
    batch_tokens = longest * settings.batch_size
    recompute = choices.is_recomputing(batch_tokens, machine)
    attention = choices.choose_attention(batch_tokens, machine)
    model, tokenizer = loading.load_base(chosen, machine, tokens=longest, attention=attention)
    model = loading.add_adapter(model, settings, recompute=recompute)
    if choices.is_worth_compiling(settings, len(rows), epochs, machine):
        compile_layers(model)
    table = datasets.Dataset.from_list(
        [{"input_ids": row.input_ids, "labels": row.labels} for row in rows]
    )
    # Packed rows want a block-diagonal mask, which Unsloth's attention on a GPU does not take;
    # padding is cheap there.
    is_packed = machine.kind == "cpu" and can_pack(model.get_base_model(), longest)
    trainer = PersonaTrainer(
        model=model,
        processing_class=tokenizer,
        args=_make_arguments(settings, epochs, machine, scratch, recompute=recompute),
        train_dataset=table,
        data_collator=pack if is_packed else pad,
        callbacks=[Reporter()],
        learning_rate_ratio=settings.learning_rate_ratio,
    )
    if len(trainer.train_dataset) != len(rows):
        reached = f"{len(trainer.train_dataset)} of {len(rows)} rows reached the trainer"
        raise DataError(f"train: {reached}, expected all")
    return trainer


def _make_arguments(
    settings: Settings, epochs: float, machine: Machine, scratch: Path, *, recompute: bool
) -> SFTConfig:
    on_gpu = machine.kind == "gpu"
    return SFTConfig(
        output_dir=str(scratch),
        per_device_train_batch_size=settings.batch_size,
        gradient_accumulation_steps=settings.gradient_accumulation,
        num_train_epochs=epochs,
        max_steps=settings.max_steps or -1,
        learning_rate=settings.learning_rate,
        warmup_steps=settings.warmup_steps,
        weight_decay=settings.weight_decay,
        lr_scheduler_type="linear",
        optim="adamw_8bit" if on_gpu else "adamw_torch_fused",
        gradient_checkpointing=recompute,  # TRL's own default is True
        seed=settings.seed,
        bf16=machine.has_bf16,
        fp16=on_gpu and not machine.has_bf16,
        use_cpu=not on_gpu,
        logging_steps=1,
        save_steps=CHECKPOINT_EVERY_STEPS,
        save_total_limit=2,
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        dataset_kwargs={"skip_prepare_dataset": True},
    )
