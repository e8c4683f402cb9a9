"""Trains an adapter on a CPU, with TRL.

Only a worker that has imported `builder.training.unsloth` imports this.
"""

from __future__ import annotations

import logging
import math
from typing import Any

import datasets
from trl import SFTConfig

from builder import progress
from builder.errors import DataError, ToolError
from builder.training import checkpoints, choices, failures, loading
from builder.training.batches import pack, pad
from builder.training.compiling import compile_layers
from builder.training.decoder import can_pack
from builder.training.job import Job
from builder.training.samples import Samples
from builder.training.tracking import Tracker
from builder.training.trainer import PersonaTrainer, Reporter, name_rows

CHECKPOINT_EVERY_STEPS = 25
# The names that transformers uses.
OPTIMIZERS = {"adamw": "adamw_torch_fused", "adamw_8bit": "adamw_8bit"}
log = logging.getLogger("builder")


def train(job: Job, tracker: Tracker, samples: Samples | None = None) -> tuple[Any, list[float]]:
    """Train an adapter.

    Returns:
        The model with its adapter, and the loss of each step.

    Raises:
        ToolError: The loss is not finite, or SIGTERM came.

    """
    if checkpoint := checkpoints.find_newest_checkpoint(job.scratch):
        log.info("resuming from step %s", checkpoint.name.removeprefix("checkpoint-"))
    with failures.awaiting_stop() as request:
        model, tokenizer = _load(job)
        reporter = Reporter(_count_tokens_a_step(job), tracker, request, samples)
        trainer = _make_trainer(job, model, tokenizer, reporter)
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    done, steps = trainer.state.global_step, trainer.state.max_steps
    if request.is_made and done < steps:
        raise failures.describe_stop(done, steps)
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    if not losses or not all(math.isfinite(loss) for loss in losses):
        msg = f"train: the loss became {losses[-1] if losses else 'nothing'}, expected a number"
        raise ToolError(msg, hint="lower training.learning_rate")
    return trainer.model, losses


def _load(job: Job) -> tuple[Any, Any]:
    """Load the base with a new adapter, compiled if that is worth it, and its tokenizer."""
    longest = max(job.lengths)
    attention = choices.choose_attention(longest * job.settings.batch_size, job.machine)
    model, tokenizer = loading.load_base(job.base, job.machine, tokens=longest, attention=attention)
    model = loading.add_adapter(model, job.settings)
    if choices.is_worth_compiling(job.settings, len(job.rows), job.epochs, job.machine):
        compile_layers(model)
    else:
        progress.report(choices.STARTS)
    return model, tokenizer


def _make_trainer(job: Job, model: Any, tokenizer: Any, reporter: Reporter) -> Any:
    table = datasets.Dataset.from_list(
        [
            {"input_ids": row.input_ids, "labels": row.labels, "row": at}
            for at, row in enumerate(job.rows)
        ]
    )
    is_packed = can_pack(model.get_base_model(), max(job.lengths))
    trainer = PersonaTrainer(
        model=model,
        processing_class=tokenizer,
        args=_make_arguments(job),
        train_dataset=table,
        data_collator=name_rows(pack if is_packed else pad),
        callbacks=[reporter],
        examples=job.rows,
        learning_rate_ratio=job.settings.learning_rate_ratio,
    )
    if len(trainer.train_dataset) != len(job.rows):
        reached = f"{len(trainer.train_dataset)} of {len(job.rows)} rows reached the trainer"
        raise DataError(f"train: {reached}, expected all")
    return trainer


def _count_tokens_a_step(job: Job) -> float:
    rows_a_step = job.settings.batch_size * job.settings.gradient_accumulation
    return sum(job.lengths) / len(job.rows) * min(rows_a_step, len(job.rows))


def _make_arguments(job: Job) -> SFTConfig:
    settings = job.settings
    return SFTConfig(
        output_dir=str(job.scratch),
        per_device_train_batch_size=settings.batch_size,
        gradient_accumulation_steps=settings.gradient_accumulation,
        num_train_epochs=job.epochs,
        max_steps=settings.max_steps or -1,
        learning_rate=settings.learning_rate,
        warmup_steps=settings.warmup_steps,
        weight_decay=settings.weight_decay,
        lr_scheduler_type="linear",
        optim=OPTIMIZERS[settings.optimizer],
        gradient_checkpointing=False,  # TRL's own default is True
        seed=settings.seed,
        bf16=job.machine.has_bf16,
        use_cpu=True,
        logging_steps=1,
        save_steps=CHECKPOINT_EVERY_STEPS,
        save_total_limit=2,
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        dataset_kwargs={"skip_prepare_dataset": True},
    )
