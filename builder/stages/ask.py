"""The ask stage: record the in-memory model's answers to the gates' questions, on a GPU.

On a CPU it writes no answers: llama.cpp asks the exported file all of the questions.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from builder import examined, workers
from builder.bases import base
from builder.engine import stage
from builder.engine.inputs import Tree, shown_as
from builder.engine.stage import Work
from builder.examined import Examined
from builder.project import Build

NAME, VERSION = "ask", 1
WORDS = "asks the trained model"
check = stage.nothing_to_check
health = stage.always_healthy
unavailable = stage.always_available
note = stage.nothing_to_note
checkpoint = stage.never_resumed


@dataclass(frozen=True, kw_only=True)
class Inputs(Examined):
    """The adapter, and what decides the questions."""

    adapter: Tree
    template: str = shown_as("data.template")


def inputs(build: Build, /) -> Inputs:
    """Declare the adapter, the persona and the questions."""
    return Inputs(
        **examined.declare(build),
        adapter=Tree(build.adapter),
        template=build.persona.manifest.data.template,
    )


def output(build: Build, /) -> Path:
    """`answers.json`: the answers of the model and of its base; empty on a CPU."""
    return build.answers


def worker(build: Build, /) -> str | None:
    """The process that trained still holds the model; on a CPU there is nothing to run."""
    return workers.UNSLOTH if build.machine.kind == "gpu" else None


def run(inputs: Inputs, work: Work, /) -> str:
    """Ask the questions that are answered greedily, in batches."""
    from builder.evaluation import answers, budget, subject  # noqa: PLC0415 — imports numpy
    from builder.gates.table import GATES  # noqa: PLC0415 — likewise

    about = subject.describe(inputs.source())
    if work.machine.kind == "cpu":
        answers.record([], about.max_tokens, lambda _asked: [], lambda _asked: [], work.out)
        return "nothing to do: on a CPU the file answers the gates' questions"
    from builder.training import loading, recording  # noqa: PLC0415 — imports torch

    chosen = base.read(inputs.base.path)
    template = loading.load_template(inputs.base.path, inputs.template, chosen)
    questions = budget.list_greedy(GATES, about)
    model = loading.load_adapted(chosen, inputs.adapter.path, work.machine)
    recording.record_answers(model, template, questions, about.max_tokens, work.out)
    return f"{len(questions)} questions"
