"""The render stage: write the Modelfile, the record of what Ollama serves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from builder.data import dataset
from builder.engine import stage
from builder.engine.inputs import File, Tree, shown_as
from builder.engine.stage import Work
from builder.ollama import modelfile
from builder.ollama.served import Served
from builder.project import Build

NAME, VERSION = "render", 3
WORDS = "writes the Modelfile"
health = stage.always_healthy
unavailable = stage.always_available
note = stage.nothing_to_note
worker = stage.main_process
checkpoint = stage.never_resumed


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """Modelfile.j2, the served settings, and the files that decide them."""

    modelfile_template: File
    chat_template: File
    profile: File
    base: Tree
    served: Served = shown_as("ollama")
    title: str = shown_as("identity.name")
    base_name: str = shown_as("base")


def inputs(build: Build, /) -> Inputs:
    """Decide what is served: the Modelfile holds nothing else."""
    return Inputs(
        modelfile_template=File(build.modelfile_template),
        chat_template=File(build.dataset / dataset.TEMPLATE),
        profile=File(build.dataset / dataset.PROFILE),
        base=Tree(build.base),
        served=build.decide_served(),
        title=build.persona.title,
        base_name=build.read_base().source,
    )


def output(build: Build, /) -> Path:
    """`Modelfile`."""
    return build.modelfile


def check(build: Build, /) -> None:
    """Check `[ollama]` and Modelfile.j2, for any base."""
    modelfile.check(build.persona, build.modelfile_template)


def run(inputs: Inputs, work: Work, /) -> str:
    """Render the Modelfile, and check it by reading it back."""
    template, served = inputs.modelfile_template.path, inputs.served
    work.out.write_text(modelfile.render(template, served, inputs.title, inputs.base_name), "utf-8")
    return f"served by {served.why}"
