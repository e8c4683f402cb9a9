"""The record stage: record the in-memory model's probabilities, to compare the file with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from builder import workers
from builder.bases import base
from builder.data import dataset
from builder.engine import stage
from builder.engine.inputs import File, Tree, shown_as
from builder.engine.stage import Work
from builder.evaluation import texts
from builder.project import Build

NAME, VERSION = "record", 3
WORDS = "records what the trained model gives"
check = stage.nothing_to_check
health = stage.always_healthy
unavailable = stage.always_available
note = stage.nothing_to_note
checkpoint = stage.never_resumed


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """The adapter, its base, and the texts: fixed ones, and some of the persona's rows."""

    adapter: Tree
    base: Tree
    rows: File
    held_out: File
    chat_template: File
    template: str = shown_as("data.template")
    texts: str = shown_as("the reference texts")
    """A hash of the fixed texts."""


def inputs(build: Build, /) -> Inputs:
    """Declare the adapter and the texts."""
    return Inputs(
        adapter=Tree(build.adapter),
        base=Tree(build.base),
        rows=File(build.dataset / dataset.TRAIN),
        held_out=File(build.dataset / dataset.HELD_OUT),
        chat_template=File(build.dataset / dataset.TEMPLATE),
        template=build.persona.manifest.data.template,
        texts=texts.fingerprint(),
    )


def output(build: Build, /) -> Path:
    """`reference.safetensors`: log-probabilities after each token of the reference texts."""
    return build.reference


def worker(_build: Build, /) -> str:
    """The process that trained still holds the model."""
    return workers.UNSLOTH


def run(inputs: Inputs, work: Work, /) -> str:
    """Record the log-probabilities of the model and of its base."""
    from builder.training import loading, recording  # noqa: PLC0415 — imports torch

    chosen = base.read(inputs.base.path)
    template = loading.load_template(inputs.base.path, inputs.template, chosen)
    wanted = texts.choose_texts(inputs.rows.path.parent, template)
    model = loading.load_adapted(chosen, inputs.adapter.path, work.machine)
    recording.record_reference(model, wanted, work.out)
    return f"{len(wanted)} texts"
