"""Trains an adapter, with captured steps on a GPU and with TRL on a processor.

Each goes on from the last checkpoint of an interrupted try.

Only a worker that has imported `builder.training.unsloth` imports this.
"""

from __future__ import annotations

import functools
import logging
import math
from pathlib import Path
from typing import Any

import datasets
import torch
from trl import SFTConfig

from builder import progress
from builder.bases import fetch
from builder.bases.base import Base
from builder.data.dataset import Example
from builder.data.template import IGNORED
from builder.errors import DataError, ToolError
from builder.machine import Machine
from builder.training import captured, checkpoints, choices, failures, loading, memory, shapes
from builder.training.batches import pack, pad
from builder.training.compiling import compile_layers
from builder.training.decoder import can_pack
from builder.training.graphs import CudaGraphs
from builder.training.settings import Settings
from builder.training.shapes import Shape
from builder.training.tracking import Destination, Tracker
from builder.training.trainer import PersonaTrainer, Reporter, name_rows

CHECKPOINT_EVERY_STEPS = 25
# As transformers calls them.
OPTIMIZERS = {"adamw": "adamw_torch_fused", "adamw_8bit": "adamw_8bit"}
log = logging.getLogger("builder")


def fit(
    chosen: Base,
    rows: list[Example],
    settings: Settings,
    epochs: float,
    *,
    machine: Machine,
    scratch: Path,
    destination: Destination | None = None,
) -> tuple[Any, list[float]]:
    """Train an adapter on rows.

    Args:
        chosen: The base.
        rows: One epoch, in which a row may come several times.
        settings: The numbers.
        epochs: How often all of it is trained on.
        machine: Decides the precision, and what pays.
        scratch: The folder of the checkpoints.
        destination: Where losses are sent.

    Returns:
        The model with its adapter, and the loss of each step.

    Raises:
        ToolError: The loss is not finite, the GPU has no memory for it, or SIGTERM came.

    """
    checkpoints.tell_unused_checkpoint(scratch, machine)
    tracker = Tracker(destination)
    fit_here = _fit_on_gpu if machine.kind == "gpu" else _fit_on_cpu
    made = fit_here(
        chosen, rows, settings, epochs, machine=machine, scratch=scratch, tracker=tracker
    )
    tracker.finish()
    return made


def _fit_on_gpu(
    chosen: Base,
    rows: list[Example],
    settings: Settings,
    epochs: float,
    *,
    machine: Machine,
    scratch: Path,
    tracker: Tracker,
) -> tuple[Any, list[float]]:
    longest = shapes.choose_lengths([len(row.input_ids) for row in rows])[-1]
    _say_memory(chosen, rows, settings, longest)
    model, _ = loading.load_base(chosen, machine, tokens=longest)
    model = loading.add_adapter(model, settings).train()
    means = captured.Means(
        graphs=CudaGraphs(),
        dtype=loading.choose_dtype(machine),
        recompute=functools.partial(loading.recompute_activations, model),
    )
    losses = captured.train(
        model, rows, settings, epochs, means=means, scratch=scratch, tracker=tracker
    )
    return model, losses


def _say_memory(chosen: Base, rows: list[Example], settings: Settings, longest: int) -> None:
    most_labels = max(sum(label != IGNORED for label in row.labels) for row in rows)
    size = settings.batch_size
    found = memory.estimate(
        fetch.find_weights(chosen, training=True),
        rank=settings.rank,
        four_bit=chosen.four_bit,
        shape=Shape(size, longest, size * most_labels),
    )
    if found is None:
        return
    with failures.explaining_load(chosen.source, is_four_bit=chosen.four_bit):
        # What this process holds already is given back, or is the base.
        free = torch.cuda.mem_get_info()[0] + torch.cuda.memory_reserved()
    level = logging.WARNING if found.total > free else logging.INFO
    log.log(level, "train: %s", found.describe(free))


def _fit_on_cpu(
    chosen: Base,
    rows: list[Example],
    settings: Settings,
    epochs: float,
    *,
    machine: Machine,
    scratch: Path,
    tracker: Tracker,
) -> tuple[Any, list[float]]:
    if checkpoint := checkpoints.find_newest_checkpoint(scratch):
        log.info("resuming from step %s", checkpoint.name.removeprefix("checkpoint-"))
    with failures.awaiting_stop() as request:
        trainer = _make_trainer(
            chosen,
            rows,
            settings,
            epochs,
            machine=machine,
            scratch=scratch,
            reporter=Reporter(_count_tokens_a_step(rows, settings), tracker, request),
        )
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    done, steps = trainer.state.global_step, trainer.state.max_steps
    if request.is_made and done < steps:
        raise failures.describe_stop(done, steps)
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
    reporter: Reporter,
) -> Any:
    longest = max(len(row.input_ids) for row in rows)
    attention = choices.choose_attention(longest * settings.batch_size, machine)
    model, tokenizer = loading.load_base(chosen, machine, tokens=longest, attention=attention)
    model = loading.add_adapter(model, settings)
    if choices.is_worth_compiling(settings, len(rows), epochs, machine):
        compile_layers(model)
    else:
        progress.report("takes the first step")
    table = datasets.Dataset.from_list(
        [
            {"input_ids": row.input_ids, "labels": row.labels, "row": at}
            for at, row in enumerate(rows)
        ]
    )
    is_packed = can_pack(model.get_base_model(), longest)
    trainer = PersonaTrainer(
        model=model,
        processing_class=tokenizer,
        args=_make_arguments(settings, epochs, machine, scratch),
        train_dataset=table,
        data_collator=name_rows(pack if is_packed else pad),
        callbacks=[reporter],
        examples=rows,
        learning_rate_ratio=settings.learning_rate_ratio,
    )
    if len(trainer.train_dataset) != len(rows):
        reached = f"{len(trainer.train_dataset)} of {len(rows)} rows reached the trainer"
        raise DataError(f"train: {reached}, expected all")
    return trainer


def _count_tokens_a_step(rows: list[Example], settings: Settings) -> float:
    rows_a_step = settings.batch_size * settings.gradient_accumulation
    return sum(len(row.input_ids) for row in rows) / len(rows) * min(rows_a_step, len(rows))


def _make_arguments(
    settings: Settings, epochs: float, machine: Machine, scratch: Path
) -> SFTConfig:
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
        optim=OPTIMIZERS[settings.optimizer],
        gradient_checkpointing=False,  # TRL's own default is True
        seed=settings.seed,
        bf16=machine.has_bf16,
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
