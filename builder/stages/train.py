"""The train stage: an adapter is trained on the rows, with Unsloth and TRL."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from builder import files, progress, workers
from builder.bases import base
from builder.data import dataset
from builder.engine import stage
from builder.engine.stage import File, Tree, Work
from builder.project import Build
from builder.training.settings import Settings, resolve

NAME, VERSION = "train", 9
WORDS = "trains the adapter"
check = stage.nothing_to_check
health = stage.always_healthy
unavailable = stage.always_available
note = stage.nothing_to_note


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """The encoded rows, the schedule, the base's own answers, the base, and every number."""

    rows: File
    schedule: File
    replay: File
    base: Tree
    training: Settings


def inputs(build: Build, /) -> Inputs:
    """Declare the rows and the numbers, the base family's where the manifest is silent."""
    return Inputs(
        rows=File(build.dataset / dataset.TRAIN),
        schedule=File(build.dataset / dataset.SCHEDULE),
        replay=File(build.replay),
        base=Tree(build.base),
        training=resolve(build.persona.manifest.training, build.read_base().family),
    )


def output(build: Build, /) -> Path:
    """`adapter/`: the adapter as PEFT writes one, and training.json with the losses."""
    return build.adapter


def worker(_build: Build, /) -> str:
    """Unsloth is imported once for all stages that use it."""
    return workers.UNSLOTH


def run(inputs: Inputs, work: Work, /) -> str:
    """Train, and write the adapter and the loss of each step."""
    progress.report("loads libraries")
    from builder.training import fit, loading  # noqa: PLC0415 — imports torch

    rows = dataset.repeat(dataset.read_examples(inputs.rows.path))
    rows += dataset.read_examples(inputs.replay.path)
    model, losses = fit.fit(
        base.read(inputs.base.path),
        rows,
        inputs.training,
        dataset.read_schedule(inputs.schedule.path.parent).epochs,
        machine=work.machine,
        scratch=work.scratch,
    )
    loading.save_adapter(model, work.out)
    files.write_json(work.out / "training.json", {"schema": 1, "losses": losses})
    return f"loss {losses[-1]:.2f}"
