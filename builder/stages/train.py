"""The train stage: teach an adapter the rows, with Unsloth and TRL."""

from __future__ import annotations

import json
import logging
import math
from pathlib import Path
from typing import Any

from builder import progress
from builder.bases import base, fetch
from builder.data import dataset
from builder.data.dataset import Example
from builder.data.template import Template
from builder.engine.stage import Job
from builder.errors import DataError, ToolError
from builder.evaluation.questions import Question
from builder.llama import Answer
from builder.machine import Accelerator, find_accelerator
from builder.training import loading

NAME = "train"
VERSION = 8
HEAVY = True
LINEAR_LAYERS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
CHECKPOINT_EVERY_STEPS = 25
# Tokens in one forward pass from which activations are computed again rather than kept: 4B and 16 GiB hold about 4,000.
RECOMPUTE_FROM_TOKENS = 3072
# In bfloat16 on a CPU torch's fused attention is slower than plain products (benchmarks/train.py), whose memory grows with the square of the length.
PLAIN_ATTENTION_TOKENS = 512
# To compile the layers takes as long as it saves in so many steps on a CPU, the first time on a machine (benchmarks/train.py).
COMPILE_FROM_STEPS = 150
# These decide what the data stage writes.
DATA_SETTINGS = {"max_length", "epochs", "replay", "system_share"}
log = logging.getLogger("builder")


def inputs(job: Job) -> list[Path]:
    """The encoded rows, the schedule, the base's own answers, and the base."""
    names = (dataset.TRAIN, dataset.HELD_OUT, dataset.SCHEDULE, dataset.TEMPLATE)
    return [*(job.dataset / name for name in names), job.replay, job.base]


def settings(job: Job) -> dict[str, Any]:
    """Every number of `[training]`, the base family's where the manifest is silent."""
    values = job.persona.manifest.training.model_dump(exclude=DATA_SETTINGS)
    if base.peek(job.base):
        family = base.read(job.base).family
        for name in ("alpha", "learning_rate", "learning_rate_ratio", "batch_size"):
            values[name] = getattr(family, name) if values[name] is None else values[name]
    return {f"training.{key}": value for key, value in values.items()}


def output(job: Job) -> Path:
    """`adapter/`: the adapter as PEFT writes one, training.json with the losses, and what the live model says."""
    return job.adapter


def health(_job: Job) -> str | None:
    """Nothing outside is needed: a finished adapter needs no GPU."""
    return None


def run(job: Job, out: Path) -> str:
    """Train, going on from the last complete checkpoint of an interrupted try."""
    chosen = base.read(job.base)
    accelerator = find_accelerator()
    numbers = {key.removeprefix("training."): value for key, value in settings(job).items()}
    numbers["epochs"] = dataset.read_schedule(job.dataset).epochs
    rows = dataset.repeat(dataset.read_examples(job.dataset / dataset.TRAIN))
    rows += dataset.read_examples(job.replay)
    checkpoint = newest_checkpoint(job.work)
    if checkpoint:
        log.info("going on from step %s", checkpoint.name.removeprefix("checkpoint-"))
    progress.report("loading Unsloth", 0, 0, "")
    loading.prepare_unsloth(job.work)
    trainer = _trainer(chosen, accelerator, numbers, rows, job.work)
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    if not losses or not all(math.isfinite(loss) for loss in losses):
        msg = f"train: the loss became {losses[-1] if losses else 'nothing'}, expected a number"
        raise ToolError(msg, hint="lower training.learning_rate")
    _save(trainer.model, losses, out)
    _record(trainer.model, job, chosen, out / job.reference.name)
    if accelerator.kind == "gpu":
        _ask_live(trainer.model, job, chosen, out / job.answers.name)
    return f"loss {losses[-1]:.2f}"


def newest_checkpoint(work: Path) -> Path | None:
    """Find the newest checkpoint that a kill did not cut short."""
    complete = [
        path for path in work.glob("checkpoint-*") if (path / "trainer_state.json").is_file()
    ]
    return max(complete, key=lambda path: int(path.name.rsplit("-", 1)[1]), default=None)


def choose_attention(tokens: int, accelerator: Accelerator) -> str | None:
    """Name the attention for batches of so many tokens, as transformers calls it; None is Unsloth's choice."""
    is_plain = (
        accelerator.kind == "cpu" and accelerator.has_bf16 and tokens <= PLAIN_ATTENTION_TOKENS
    )
    return "eager" if is_plain else None


def is_worth_compiling(numbers: dict[str, Any], rows: int, accelerator: Accelerator) -> bool:
    """Say whether a training of so many rows has the steps to win back what compiling its layers costs."""
    steps = numbers["max_steps"] or rows * numbers["epochs"] / (
        numbers["batch_size"] * numbers["gradient_accumulation"]
    )
    return accelerator.kind == "cpu" and bool(steps >= COMPILE_FROM_STEPS)


def _trainer(
    chosen: base.Base,
    accelerator: Accelerator,
    numbers: dict[str, Any],
    rows: list[Example],
    work: Path,
) -> Any:
    import unsloth  # noqa: F401, I001, PLC0415 — must come before the libraries it patches
    import datasets  # noqa: PLC0415
    import torch  # noqa: PLC0415
    from trl import SFTConfig  # noqa: PLC0415
    from unsloth import FastLanguageModel  # noqa: PLC0415

    from builder.training.batches import pack, pad  # noqa: PLC0415
    from builder.training.compiling import compile_layers  # noqa: PLC0415
    from builder.training.trainer import PersonaTrainer, Reporter  # noqa: PLC0415

    on_gpu = accelerator.kind == "gpu"
    dtype = torch.bfloat16 if accelerator.has_bf16 else torch.float16 if on_gpu else torch.float32
    longest = max(len(row.input_ids) for row in rows)
    recompute = on_gpu and longest * numbers["batch_size"] > RECOMPUTE_FROM_TOKENS
    model, tokenizer = FastLanguageModel.from_pretrained(
        str(fetch.find_weights(chosen, training=True)),
        max_seq_length=longest,
        dtype=dtype,
        load_in_4bit=on_gpu and chosen.four_bit,
        local_files_only=True,
        attn_implementation=choose_attention(longest * numbers["batch_size"], accelerator),
    )
    model = FastLanguageModel.get_peft_model(
        model,
        r=numbers["rank"],
        lora_alpha=numbers["alpha"],
        lora_dropout=0,
        bias="none",
        target_modules=list(LINEAR_LAYERS),
        use_gradient_checkpointing="unsloth" if recompute else False,
        random_state=numbers["lora_seed"],
    )
    if is_worth_compiling(numbers, len(rows), accelerator):
        compile_layers(model)
    arguments = SFTConfig(
        output_dir=str(work),
        per_device_train_batch_size=numbers["batch_size"],
        gradient_accumulation_steps=numbers["gradient_accumulation"],
        num_train_epochs=numbers["epochs"],
        max_steps=numbers["max_steps"] or -1,
        learning_rate=numbers["learning_rate"],
        warmup_steps=numbers["warmup_steps"],
        weight_decay=numbers["weight_decay"],
        lr_scheduler_type="linear",
        optim="adamw_8bit" if on_gpu else "adamw_torch_fused",
        gradient_checkpointing=recompute,  # TRL's own default is True
        seed=numbers["seed"],
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
    table = datasets.Dataset.from_list(
        [{"input_ids": row.input_ids, "labels": row.labels} for row in rows]
    )
    trainer = PersonaTrainer(
        model=model,
        processing_class=tokenizer,
        args=arguments,
        train_dataset=table,
        # Packed rows want a block-diagonal mask, which Unsloth's GPU attention does not take; there padding is cheap.
        data_collator=pad if on_gpu else pack,
        callbacks=[Reporter()],
        learning_rate_ratio=numbers["learning_rate_ratio"],
    )
    if len(trainer.train_dataset) != len(rows):
        msg = f"train: {len(trainer.train_dataset)} of {len(rows)} rows reached the trainer, expected all"
        raise DataError(msg)
    return trainer


def _save(model: Any, losses: list[float], out: Path) -> None:
    model.save_pretrained(out, safe_serialization=True)
    (out / "README.md").unlink(missing_ok=True)
    config_path = out / "adapter_config.json"
    config = json.loads(config_path.read_text())
    config["base_model_name_or_path"] = (
        None  # a path of this machine; base.json says which base it is
    )
    config_path.write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")
    (out / "training.json").write_text(json.dumps({"schema": 1, "losses": losses}) + "\n")


def _record(model: Any, job: Job, chosen: base.Base, out: Path) -> None:
    import torch  # noqa: PLC0415

    from builder.evaluation import reference, texts  # noqa: PLC0415 — beside what it records
    from builder.training.loss import log_probs  # noqa: PLC0415

    def of_base(ids: list[list[int]]) -> Any:
        with model.disable_adapter():
            yield from log_probs(model, ids)

    progress.report("record", 0, 1, "texts")
    model.eval()
    chosen_texts = texts.choose_texts(
        job.dataset, Template(job.base, job.persona.manifest.data.template, chosen.family)
    )
    with torch.compiler.set_stance(
        "force_eager"
    ):  # no gradients, and then no adapter: each would be compiled anew
        reference.record(chosen_texts, lambda ids: log_probs(model, ids), of_base, out)


def _ask_live(model: Any, job: Job, chosen: base.Base, out: Path) -> None:
    """Ask what llama.cpp would take minutes for, while the model is on a GPU."""
    from unsloth import FastLanguageModel  # noqa: PLC0415

    from builder.evaluation import answers, budget, subject  # noqa: PLC0415 — beside what they ask
    from builder.gates.table import GATES  # noqa: PLC0415 — likewise
    from builder.training import generate  # noqa: PLC0415 — imports torch

    template = Template(job.base, job.persona.manifest.data.template, chosen.family)
    manifest = job.persona.manifest
    about = subject.describe(
        subject.Source(
            dataset=job.dataset,
            base=job.base,
            identity=manifest.identity,
            gates=manifest.gates,
            system=manifest.ollama.system,
            parameters=manifest.ollama.parameters,
            max_tokens=manifest.smoke.max_tokens,
        )
    )
    FastLanguageModel.for_inference(model)

    def ask(asked: list[Question], max_tokens: int) -> list[Answer]:
        return generate.answer(
            model, template, [question.as_messages() for question in asked], max_tokens
        )

    def ask_base(asked: list[Question]) -> list[Answer]:
        with model.disable_adapter():
            return ask(asked, min(about.max_tokens, answers.BASE_TOKENS))

    answers.record(
        budget.list_greedy(GATES, about),
        about.max_tokens,
        lambda asked: ask(asked, about.max_tokens),
        ask_base,
        out,
    )
