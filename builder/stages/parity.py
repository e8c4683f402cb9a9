"""The parity stage: check that the file's chat template and tokenizer give the trained prompts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from builder import files, workers
from builder.bases import base
from builder.data import dataset
from builder.data.template import Template
from builder.engine import stage
from builder.engine.inputs import File, Tree, shown_as
from builder.engine.stage import Work
from builder.gates import parity, shapes
from builder.project import Build

NAME, VERSION = "parity", 2
WORDS = "compares prompts"
check = stage.nothing_to_check
health = stage.always_healthy
unavailable = stage.always_available
note = stage.nothing_to_note
checkpoint = stage.never_resumed


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """The file, the trained chat template, and the base's tokenizer."""

    gguf: File
    chat_template: File
    rows: File
    base: Tree
    template: str = shown_as("data.template")
    shapes: str = shown_as("the shapes of conversation")
    """A hash of the conversations that come with the project."""


def inputs(build: Build, /) -> Inputs:
    """Declare both sides of the comparison."""
    return Inputs(
        gguf=File(build.gguf),
        chat_template=File(build.dataset / dataset.TEMPLATE),
        rows=File(build.dataset / dataset.TRAIN),
        base=Tree(build.base),
        template=build.persona.manifest.data.template,
        shapes=shapes.fingerprint(),
    )


def output(build: Build, /) -> Path:
    """`parity.json`: for each shape, whether the file gives the same ids as training."""
    return build.parity


def worker(_build: Build, /) -> str:
    """The export process has already imported the tokenizers, which takes seconds."""
    return workers.EXPORT


def run(inputs: Inputs, work: Work, /) -> str:
    """Compare the prompts of every shape, and check the file's EOS, BOS and chat template.

    Raises:
        GateError: A prompt differs from the trained one, or the file would not stop.

    """
    family = base.read(inputs.base.path).family
    template = Template(inputs.base.path, inputs.template, family)
    own = shapes.make_own(dataset.read_examples(inputs.rows.path))
    rows = parity.compare_file(inputs.gguf.path, template, own)
    files.write_json(work.out, {"schema": parity.SCHEMA, "shapes": rows})
    others = [f"{row['shape']}: {row['known_difference']}" for row in rows if not row["same_ids"]]
    same = f"{len(rows) - len(others)} of {len(rows)} test prompts give the same tokens"
    return "; ".join([same, *others])
