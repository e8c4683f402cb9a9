"""The merged stage: write base and adapter as 16-bit safetensors, for transformers and vLLM."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder import files, workers
from builder.bases import base, fetch
from builder.bases.facts import Facts
from builder.data import dataset
from builder.engine import stage
from builder.engine.inputs import File, Tree, shown_as
from builder.engine.stage import Work
from builder.parameters import make_generation_config
from builder.project import Build

NAME, VERSION = "merged", 1
WORDS = "adds the adapter to the base"
check = stage.nothing_to_check
health = stage.always_healthy
unavailable = stage.always_available
note = stage.nothing_to_note
checkpoint = stage.never_resumed


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """The adapter, the trained chat template, the base, and the parameters."""

    weights: File
    config: File
    chat_template: File
    base: Tree
    parameters: dict[str, Any] = shown_as("ollama.parameters")


def inputs(build: Build, /) -> Inputs:
    """Declare the adapter, and the parameters that Ollama is given too."""
    return Inputs(
        weights=File(build.adapter / "adapter_model.safetensors"),
        config=File(build.adapter / "adapter_config.json"),
        chat_template=File(build.dataset / dataset.TEMPLATE),
        base=Tree(build.base),
        parameters=build.decide_served().parameters,
    )


def output(build: Build, /) -> Path:
    """`merged/`: weights, config, tokenizer, chat template and generation_config.json."""
    return build.merged


def worker(_build: Build, /) -> str:
    """Torch runs in a process of its own."""
    return workers.EXPORT


def run(inputs: Inputs, work: Work, /) -> str:
    """Add the adapter to the base's weights, and write them with config and tokenizer."""
    from builder.gguf import merged  # noqa: PLC0415 — imports torch

    own = files.read_json(inputs.base.path / "generation_config.json")
    dtype = merged.write(
        fetch.find_weights(base.read(inputs.base.path)),
        inputs.weights.path.parent,
        work.out,
        tokenizer=inputs.base.path,
        chat_template=inputs.chat_template.path.read_text("utf-8"),
        generation_config=make_generation_config(
            inputs.parameters,
            Facts(inputs.base.path).vocabulary,
            own if isinstance(own, dict) else {},
        ),
    )
    size_mb = sum(file.stat().st_size for file in work.out.iterdir()) / 1e6
    return f"merged/ {size_mb:,.0f} MB, {dtype}, every adapted layer in it"
