"""The train stage: teach an adapter the rows, with Unsloth and TRL."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from builder import progress
from builder.bases import base, fetch
from builder.data import dataset
from builder.data.template import Template
from builder.engine.stage import Job
from builder.evaluation.questions import Question
from builder.llama import Answer
from builder.machine import find_accelerator
from builder.training import fit, loading

NAME = "train"
VERSION = 8
HEAVY = True
# These decide what the data stage writes.
DATA_SETTINGS = {"max_length", "epochs", "replay", "system_share"}


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
    """Train, record what the trained model says, and on a GPU let it answer the gates' questions."""
    chosen, accelerator = base.read(job.base), find_accelerator()
    numbers = {key.removeprefix("training."): value for key, value in settings(job).items()}
    numbers["epochs"] = dataset.read_schedule(job.dataset).epochs
    numbers["four_bit"] = chosen.four_bit
    rows = dataset.repeat(dataset.read_examples(job.dataset / dataset.TRAIN))
    rows += dataset.read_examples(job.replay)
    weights = fetch.find_weights(chosen, training=True)
    model, losses = fit.fit(weights, rows, fit.Settings(**numbers), accelerator, job.work)
    fit.save(model, losses, out)
    _record(model, job, chosen, out / job.reference.name)
    if accelerator.kind == "gpu":
        _ask_in_memory(model, job, chosen, out / job.answers.name)
    loading.release(model)
    return f"loss {losses[-1]:.2f}"


def _record(model: Any, job: Job, chosen: base.Base, out: Path) -> None:
    import torch  # noqa: PLC0415

    from builder.evaluation import reference  # noqa: PLC0415 — beside what it records
    from builder.training.loss import log_probs  # noqa: PLC0415

    def of_base(texts: list[list[int]]) -> Any:
        with model.disable_adapter():
            yield from log_probs(model, texts)

    progress.report("record", 0, 1, "texts")
    model.eval()
    texts = reference.choose_texts(
        job.dataset, Template(job.base, job.persona.manifest.data.template, chosen.family)
    )
    with torch.compiler.set_stance(
        "force_eager"
    ):  # no gradients, and then no adapter: each would be compiled anew
        reference.record(texts, lambda texts: log_probs(model, texts), of_base, out)


def _ask_in_memory(model: Any, job: Job, chosen: base.Base, out: Path) -> None:
    """Ask what llama.cpp would take minutes for, while the model is on a GPU."""
    from unsloth import FastLanguageModel  # noqa: PLC0415

    from builder.evaluation import answers, subject, table  # noqa: PLC0415 — beside what they ask
    from builder.training import generate  # noqa: PLC0415 — imports torch

    template = Template(job.base, job.persona.manifest.data.template, chosen.family)
    about = subject.read(job)
    FastLanguageModel.for_inference(model)

    def ask(asked: list[Question], max_tokens: int) -> list[Answer]:
        return generate.answer(
            model, template, [question.as_messages() for question in asked], max_tokens
        )

    def ask_base(asked: list[Question]) -> list[Answer]:
        with model.disable_adapter():
            return ask(asked, min(about.max_tokens, answers.BASE_TOKENS))

    answers.record(
        table.list_greedy(about),
        about.max_tokens,
        lambda asked: ask(asked, about.max_tokens),
        ask_base,
        out,
    )
