"""The article's recipe on a GPU: Unsloth and TRL's SFTTrainer, one row at a time, checkpointing."""

# ruff: noqa: PLC0415 — what takes seconds to import is imported where it is measured

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any


def load(base: Path) -> tuple[Any, Any]:
    """Load a base in 4 bit, with a new adapter; give it and its tokenizer."""
    import builder.training.unsloth  # noqa: F401 # isort: skip
    from unsloth import FastLanguageModel

    model, tokenizer = FastLanguageModel.from_pretrained(
        str(base), max_seq_length=2048, load_in_4bit=True, local_files_only=True
    )
    model = FastLanguageModel.get_peft_model(
        model,
        r=16,
        lora_alpha=16,
        lora_dropout=0,
        bias="none",
        use_gradient_checkpointing="unsloth",
        random_state=3407,
        target_modules=[f"{name}_proj" for name in ("q", "k", "v", "o", "gate", "up", "down")],
    )
    return model, tokenizer


def make_trainer(
    model: Any,
    tokenizer: Any,
    texts: Sequence[str],
    out: Path,
    *,
    steps: int,
    on_step: Callable[[], None],
) -> Any:
    """Make the trainer.

    Args:
        model: As `load` gives it.
        tokenizer: The same.
        texts: Rendered conversations.
        out: A folder for what the trainer writes.
        steps: Optimiser steps, of 1 row x 8 each.
        on_step: Called at the end of each step, when the GPU is done with it.

    """
    import datasets
    import torch
    from transformers import TrainerCallback
    from trl import SFTConfig, SFTTrainer

    class Steps(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *_arguments: Any, **_options: Any) -> None:
            torch.cuda.synchronize()
            on_step()

    return SFTTrainer(
        model=model,
        processing_class=tokenizer,
        train_dataset=datasets.Dataset.from_dict({"text": list(texts)}),
        args=SFTConfig(
            output_dir=str(out),
            dataset_text_field="text",
            dataset_num_proc=1,
            per_device_train_batch_size=1,
            gradient_accumulation_steps=8,
            warmup_steps=5,
            max_steps=steps,
            learning_rate=2e-4,
            logging_steps=1,
            optim="adamw_8bit",
            weight_decay=0.001,
            lr_scheduler_type="linear",
            seed=3407,
            report_to="none",
            save_strategy="no",
        ),
        callbacks=[Steps()],
    )
