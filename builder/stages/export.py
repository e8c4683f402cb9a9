"""The export stage: base and adapter into one quantised GGUF."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from builder.bases import base, fetch
from builder.engine.stage import Job
from builder.gguf.quantisation import BY_NAME

NAME = "export"
VERSION = 2
HEAVY = True


def inputs(job: Job) -> list[Path]:
    """The adapter's own files, the trained template, and the base."""
    return [
        job.adapter / "adapter_model.safetensors",
        job.adapter / "adapter_config.json",
        job.dataset / "chat_template.jinja",
        job.base,
    ]


def settings(job: Job) -> dict[str, Any]:
    """What goes into the file's general metadata, and its quantisation."""
    return {**_metadata(job), "export.quantisation": job.persona.manifest.export.quantisation}


def output(job: Job) -> Path:
    """`model.gguf`."""
    return job.gguf


def health(_job: Job) -> str | None:
    """Nothing outside is needed."""
    return None


def run(job: Job, out: Path) -> str:
    """Export through `builder.gguf.export`."""
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # nothing here is worth a GPU's memory
    from builder.gguf.export import export  # noqa: PLC0415 — imports torch

    chosen, quantisation = base.read(job.base), BY_NAME[job.persona.manifest.export.quantisation]
    left_out = export(
        fetch.find_weights(chosen),
        job.adapter,
        out,
        tokenizer=job.base,
        chat_template=(job.dataset / "chat_template.jinja").read_text(),
        metadata=_metadata(job),
        quantisation=quantisation,
        base_name=chosen.source,
    )
    size = f"{out.stat().st_size / 1e6:.0f} MB"
    told = f"{out.name} {size}, {quantisation.name}, every adapted layer in it"
    return f"{told}; without {', '.join(left_out)}" if left_out else told


def _metadata(job: Job) -> dict[str, str]:
    manifest = job.persona.manifest
    values = {"general.name": job.persona.title}
    if authors := manifest.texts("author"):
        values["general.author"] = ", ".join(authors)
    if manifest.ollama.license:
        values["general.license"] = manifest.ollama.license
    return values
