"""The export stage: merge the adapter into the base, and write one quantised GGUF."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from builder import workers
from builder.bases import base, fetch
from builder.data import dataset
from builder.engine import stage
from builder.engine.inputs import File, Tree, shown_as
from builder.engine.stage import Work
from builder.gguf.quantisation import BY_NAME
from builder.project import Build

NAME, VERSION = "export", 3
WORDS = "writes the GGUF"
check = stage.nothing_to_check
health = stage.always_healthy
unavailable = stage.always_available
note = stage.nothing_to_note
checkpoint = stage.never_resumed


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """The adapter, the trained chat template, the base, the quantisation and the metadata."""

    weights: File
    config: File
    chat_template: File
    base: Tree
    quantisation: str = shown_as("export.quantisation")
    metadata: dict[str, str] = shown_as("")
    """The `general.*` keys of the GGUF."""


def inputs(build: Build, /) -> Inputs:
    """Declare the adapter, and the persona's name, author and licence."""
    manifest = build.persona.manifest
    metadata = {"general.name": build.persona.title}
    if authors := manifest.texts("author"):
        metadata["general.author"] = ", ".join(authors)
    if manifest.ollama.license:
        metadata["general.license"] = manifest.ollama.license
    return Inputs(
        weights=File(build.adapter / "adapter_model.safetensors"),
        config=File(build.adapter / "adapter_config.json"),
        chat_template=File(build.dataset / dataset.TEMPLATE),
        base=Tree(build.base),
        quantisation=manifest.export.quantisation,
        metadata=metadata,
    )


def output(build: Build, /) -> Path:
    """`model.gguf`."""
    return build.gguf


def worker(_build: Build, /) -> str:
    """Torch and the converter run in a process of their own, which quantises on a GPU if it can."""
    return workers.EXPORT


def run(inputs: Inputs, work: Work, /) -> str:
    """Merge, convert, quantise, and verify each layer of the adapter."""
    from builder.gguf.export import export  # noqa: PLC0415 — imports torch

    chosen = base.read(inputs.base.path)
    exported = export(
        fetch.find_weights(chosen),
        inputs.weights.path.parent,
        work.out,
        tokenizer=inputs.base.path,
        chat_template=inputs.chat_template.path.read_text("utf-8"),
        metadata=inputs.metadata,
        quantisation=BY_NAME[inputs.quantisation],
        base_name=chosen.source,
    )
    work.note_sha256(exported.sha256)
    size_mb = work.out.stat().st_size / 1e6
    summary = f"{work.out.name} {size_mb:.0f} MB, {inputs.quantisation}"
    summary += ", every adapted layer in it"
    left_out = ", ".join(exported.left_out)
    return f"{summary}; without {left_out}" if left_out else summary
