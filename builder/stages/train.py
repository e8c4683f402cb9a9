"""The train stage: train an adapter on the rows, on a model that Unsloth loads.

On a CPU TRL's trainer runs the steps, on a GPU a loop of our own that captures them.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder import files, progress, workers
from builder.bases import ahead, base
from builder.data import dataset
from builder.engine import stage
from builder.engine.inputs import File, Tree, not_compared
from builder.engine.stage import Checkpoint, Work
from builder.llama import Answer
from builder.project import Build
from builder.training import checkpoints, neighbours
from builder.training.samples import MOST_TOKENS, Asked, Samples
from builder.training.settings import Settings, resolve
from builder.training.tracking import Destination, describe_missing

NAME, VERSION = "train", 9
WORDS = "trains the adapter"
health = stage.always_healthy
unavailable = stage.always_available
note = stage.nothing_to_note
log = logging.getLogger("builder")


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """The encoded rows, the schedule, the base's own answers, the base and the settings."""

    rows: File
    schedule: File
    replay: File
    base: Tree
    training: Settings
    destination: Destination | None = not_compared()
    """Where losses are logged to, such as TensorBoard."""
    asked: Asked = not_compared()
    """The question that the model is asked while it trains."""


def inputs(build: Build, /) -> Inputs:
    """Declare the rows and the settings; the base's family sets what the manifest does not."""
    return Inputs(
        rows=File(build.dataset / dataset.TRAIN),
        schedule=File(build.dataset / dataset.SCHEDULE),
        replay=File(build.replay),
        base=Tree(build.base),
        training=resolve(build.persona.manifest.training, build.read_base().family),
        destination=_find_destination(build),
        asked=_find_asked(build),
    )


def output(build: Build, /) -> Path:
    """`adapter/`: the adapter in PEFT's format, and training.json with the losses."""
    return build.adapter


def check(build: Build, /) -> None:
    """Warn if the package that losses are logged to is not installed."""
    wanted = _find_destination(build)
    if wanted and (missing := describe_missing(wanted.kind)):
        log.warning("%s", missing)


def checkpoint(build: Build, scratch: Path, /) -> Checkpoint | None:
    """Read the step from which this machine resumes."""
    return checkpoints.read_progress(scratch, build.machine)


def worker(_build: Build, /) -> str:
    """The stages that use Unsloth share a process."""
    return workers.UNSLOTH


def run(inputs: Inputs, work: Work, /) -> str:
    """Train, and write the adapter and the loss of each step."""
    progress.report("loads libraries")
    from builder.training import fit, generate, loading  # noqa: PLC0415 — imports torch
    from builder.training.job import Job  # noqa: PLC0415 — with it

    chosen = base.read(inputs.base.path)
    ahead.start(chosen)
    rows = dataset.repeat(dataset.read_examples(inputs.rows.path))
    rows += dataset.read_examples(inputs.replay.path)
    job = Job(
        base=chosen,
        rows=rows,
        settings=inputs.training,
        epochs=dataset.read_schedule(inputs.schedule.path.parent).epochs,
        machine=work.machine,
        scratch=work.scratch,
    )
    template = loading.load_template(inputs.base.path, inputs.asked.template, chosen)
    messages = inputs.asked.as_messages()

    def ask(model: Any, most_s: float) -> Answer | None:
        return generate.answer_in_training(
            model, template, messages, max_tokens=MOST_TOKENS, most_s=most_s
        )

    samples = Samples(messages[-1]["content"], ask)
    with neighbours.telling(work.machine):
        model, losses = fit.fit(job, destination=inputs.destination, samples=samples)
    loading.save_adapter(model, work.out)
    files.write_json(work.out / "training.json", {"schema": 1, "losses": losses})
    return f"loss {losses[-1]:.2f}"


def _find_asked(build: Build) -> Asked:
    manifest = build.persona.manifest
    own = manifest.smoke.questions
    return Asked(
        dataset=build.dataset,
        question=own[0].ask if own else None,
        system=manifest.ollama.system or None,
        template=manifest.data.template,
    )


def _find_destination(build: Build) -> Destination | None:
    kind = build.persona.manifest.training.report_to
    return Destination(kind=kind, run=build.name, folder=build.logs / kind) if kind else None
