"""Trains an adapter: the base and the rows go in, an adapted model and its losses come out."""

from __future__ import annotations

import json
import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder import progress
from builder.data.dataset import Example
from builder.errors import DataError, ToolError
from builder.machine import Accelerator
from builder.training import loading

CHECKPOINT_EVERY_STEPS = 25
# Tokens of a forward pass from which activations are computed again rather than stored: a 4B model
# in 16 GiB has room for about 4,000.
RECOMPUTE_FROM_TOKENS = 3072
# In bfloat16 on a CPU torch's fused attention is slower than plain products
# (benchmarks/train.py), whose memory grows with the square of the length.
PLAIN_ATTENTION_TOKENS = 512
# To compile the layers takes as long as it saves in so many steps on a CPU, the first time on a
# machine (benchmarks/train.py).
COMPILE_FROM_STEPS = 150
log = logging.getLogger("builder")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The numbers of `[training]` that decide an adapter, with nothing left to a default."""

    rank: int
    alpha: int
    learning_rate: float
    learning_rate_ratio: float
    epochs: float
    max_steps: int | None
    four_bit: bool
    batch_size: int
    gradient_accumulation: int
    warmup_steps: int
    weight_decay: float
    lora_seed: int
    seed: int


def fit(
    weights: Path, rows: list[Example], settings: Settings, accelerator: Accelerator, work: Path
) -> tuple[Any, list[float]]:
    """Train an adapter, going on from the last complete checkpoint of an interrupted try.

    Args:
        weights: The folder of the base to train on.
        rows: What is trained on in each epoch.
        settings: How.
        accelerator: What it runs on.
        work: Where checkpoints go.

    Returns:
        The adapted model, and the loss of each step.

    Raises:
        DataError: Rows were lost on the way to the trainer.
        ToolError: The loss is no number.

    """
    checkpoint = newest_checkpoint(work)
    if checkpoint:
        log.info("going on from step %s", checkpoint.name.removeprefix("checkpoint-"))
    progress.report("loading Unsloth", 0, 0, "")
    loading.prepare_unsloth(work)
    try:
        trainer = _make_trainer(weights, rows, settings, accelerator, work)
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    except BaseException:
        loading.forget()  # an adapter may be in it
        raise
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    if not losses or not all(math.isfinite(loss) for loss in losses):
        raise ToolError(
            f"train: the loss became {losses[-1] if losses else 'nothing'}, expected a number",
            hint="lower training.learning_rate",
        )
    return trainer.model, losses


def save(model: Any, losses: list[float], out: Path) -> None:
    """Write adapter_model.safetensors, adapter_config.json and training.json.

    The same adapter gives the same bytes: PEFT writes a path of this machine, and names of layers
    in the order of a set, which differs from one process to the next.
    """
    model.save_pretrained(out, safe_serialization=True)
    (out / "README.md").unlink(missing_ok=True)
    config_path = out / "adapter_config.json"
    config = json.loads(config_path.read_text())
    config["base_model_name_or_path"] = None  # base.json says which base it is
    if isinstance(config["target_modules"], list):
        config["target_modules"] = sorted(config["target_modules"])
    config_path.write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")
    (out / "training.json").write_text(json.dumps({"schema": 1, "losses": losses}) + "\n")


def newest_checkpoint(work: Path) -> Path | None:
    """Find the newest checkpoint that a kill did not cut short."""
    complete = [
        path for path in work.glob("checkpoint-*") if (path / "trainer_state.json").is_file()
    ]
    return max(complete, key=lambda path: int(path.name.rsplit("-", 1)[1]), default=None)


def choose_attention(tokens: int, accelerator: Accelerator) -> str | None:
    """Name transformers' attention for batches of so many tokens; None is Unsloth's choice."""
    is_plain = (
        accelerator.kind == "cpu" and accelerator.has_bf16 and tokens <= PLAIN_ATTENTION_TOKENS
    )
    return "eager" if is_plain else None


def is_worth_compiling(settings: Settings, rows: int, accelerator: Accelerator) -> bool:
    """Say whether training on so many rows has the steps to win back what compiling costs."""
    steps = settings.max_steps or rows * settings.epochs / (
        settings.batch_size * settings.gradient_accumulation
    )
    return accelerator.kind == "cpu" and bool(steps >= COMPILE_FROM_STEPS)


def _adapt(
    weights: Path, rows: list[Example], settings: Settings, accelerator: Accelerator
) -> tuple[Any, Any, bool]:
    """Give the base with a new adapter, its tokenizer, and whether activations are recomputed."""
    longest = max(len(row.input_ids) for row in rows)
    recompute = accelerator.kind == "gpu" and longest * settings.batch_size > RECOMPUTE_FROM_TOKENS
    model, tokenizer = loading.load(
        weights,
        accelerator,
        four_bit=settings.four_bit,
        max_tokens=longest,
        attention=choose_attention(longest * settings.batch_size, accelerator),
    )
    from unsloth import FastLanguageModel  # noqa: PLC0415 — imported by `load`

    from builder.training.compiling import compile_layers  # noqa: PLC0415
    from builder.training.targets import find_targets  # noqa: PLC0415

    model = FastLanguageModel.get_peft_model(
        model,
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=0,
        bias="none",
        target_modules=find_targets(model),
        use_gradient_checkpointing="unsloth" if recompute else False,
        random_state=settings.lora_seed,
    )
    if is_worth_compiling(settings, len(rows), accelerator):
        compile_layers(model)
    return model, tokenizer, recompute


def _make_trainer(
    weights: Path, rows: list[Example], settings: Settings, accelerator: Accelerator, work: Path
) -> Any:
    model, tokenizer, recompute = _adapt(weights, rows, settings, accelerator)
    import datasets  # noqa: PLC0415 — after Unsloth, which patches it

    from builder.training.batches import pack, pad  # noqa: PLC0415
    from builder.training.decoder import can_pack  # noqa: PLC0415
    from builder.training.trainer import PersonaTrainer, Reporter  # noqa: PLC0415

    table = datasets.Dataset.from_list(
        [{"input_ids": row.input_ids, "labels": row.labels} for row in rows]
    )
    longest = max(len(row.input_ids) for row in rows)
    # Packed rows want a block-diagonal mask, which Unsloth's attention on a GPU does not take;
    # there padding is cheap.
    is_packed = accelerator.kind == "cpu" and can_pack(model.get_base_model(), longest)
    trainer = PersonaTrainer(
        model=model,
        processing_class=tokenizer,
        args=_make_arguments(settings, accelerator, work, recompute=recompute),
        train_dataset=table,
        data_collator=pack if is_packed else pad,
        callbacks=[Reporter()],
        learning_rate_ratio=settings.learning_rate_ratio,
    )
    if len(trainer.train_dataset) != len(rows):
        raise DataError(
            f"train: {len(trainer.train_dataset)} of {len(rows)} rows reached the trainer, "
            "expected all"
        )
    return trainer


def _make_arguments(
    settings: Settings, accelerator: Accelerator, work: Path, *, recompute: bool
) -> Any:
    from trl import SFTConfig  # noqa: PLC0415 — after Unsloth, which patches it

    on_gpu = accelerator.kind == "gpu"
    return SFTConfig(
        output_dir=str(work),
        per_device_train_batch_size=settings.batch_size,
        gradient_accumulation_steps=settings.gradient_accumulation,
        num_train_epochs=settings.epochs,
        max_steps=settings.max_steps or -1,
        learning_rate=settings.learning_rate,
        warmup_steps=settings.warmup_steps,
        weight_decay=settings.weight_decay,
        lr_scheduler_type="linear",
        optim="adamw_8bit" if on_gpu else "adamw_torch_fused",
        gradient_checkpointing=recompute,  # TRL's own default is True
        seed=settings.seed,
        bf16=accelerator.has_bf16,
        fp16=on_gpu and not accelerator.has_bf16,
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
