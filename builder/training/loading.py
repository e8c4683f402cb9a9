"""Loads a base with Unsloth, once for all stages of a process, and an adapter onto it.

Only a worker that has imported `builder.training.unsloth` imports this.
"""

from __future__ import annotations

import gc
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from unsloth import FastLanguageModel

from builder import files, progress
from builder.bases import fetch
from builder.bases.base import Base
from builder.data.template import Template
from builder.machine import Machine
from builder.training import failures
from builder.training.settings import Settings
from builder.training.target_modules import find_target_modules

WEIGHTS = "adapter_model.safetensors"
WRAPPED = ("mistral3",)
# Positions that a base is loaded for where no rows say how many.
CONTEXT_TOKENS = 1024
# What this process holds: a base by what it was loaded from, or that base with an adapter by the
# hash of the adapter's weights.
_bases: dict[str, tuple[Any, Any]] = {}
_adapted: dict[str, Any] = {}
_templates: dict[tuple[Path, str], Template] = {}


def load_base(
    chosen: Base, machine: Machine, *, tokens: int = CONTEXT_TOKENS, attention: str | None = None
) -> tuple[Any, Any]:
    """Load a base, or give the one that this process has loaded.

    Args:
        chosen: The base.
        machine: Decides the precision: bfloat16 where it is computed, else float16 on a GPU and
            float32 on a processor; 4 bit on a GPU alone.
        tokens: Length of the longest row.
        attention: The attention as transformers calls it; None is Unsloth's choice on a processor,
            and SDPA on a GPU: Unsloth takes FlexAttention for some families there, whose masks
            cannot be made while a CUDA graph is captured.

    Returns:
        The model and its tokenizer.

    Raises:
        ToolError: The GPU has no memory for it.

    """
    on_gpu = machine.kind == "gpu"
    attention = attention or ("sdpa" if on_gpu else None)
    # Unsloth cuts longer rows off without a word.
    tokens = max(tokens, CONTEXT_TOKENS) if on_gpu else tokens
    source = [chosen.train_source, chosen.train_revision, chosen.four_bit]
    key = json.dumps([*source, attention, tokens])
    if key not in _bases:
        progress.report("loads the base")
        forget()  # there is room for one
        folder, dtype = fetch.find_weights(chosen, training=True), choose_dtype(machine)
        with failures.explaining_load(chosen.source, is_four_bit=chosen.four_bit):
            if not on_gpu and files.read_json(folder / "config.json")["model_type"] in WRAPPED:
                _bases[key] = _load_wrapped(folder, dtype, attention)
            else:
                _bases[key] = FastLanguageModel.from_pretrained(
                    str(folder),
                    max_seq_length=tokens,
                    dtype=dtype,
                    load_in_4bit=on_gpu and chosen.four_bit,
                    local_files_only=True,
                    attn_implementation=attention,
                )
        _tie_head(_bases[key][0], folder)
    return _bases[key]


def _load_wrapped(folder: Path, dtype: torch.dtype, attention: str | None) -> tuple[Any, Any]:
    """Load Ministral 3 on a processor, where Unsloth loads causal language models alone.

    transformers 5.17 lists Gemma 3 and 4 among them, and this one among models for images and text.
    """
    from transformers import (  # noqa: PLC0415 — after Unsloth has patched it
        AutoModelForImageTextToText,
        AutoTokenizer,
    )

    model = AutoModelForImageTextToText.from_pretrained(
        folder, dtype=dtype, attn_implementation=attention
    )
    return model, AutoTokenizer.from_pretrained(folder, padding_side="right")


def _tie_head(model: Any, folder: Path) -> None:
    """Let a head that the files do not hold be the embedding, as the file that is exported has it.

    transformers 5.17 loads Qwen3.5's text tower by its own table of config.json, which may not say
    what the outer one does, that the head is tied, and then gives it random weights.
    """
    head, embedding = model.get_output_embeddings(), model.get_input_embeddings()
    if head.weight is embedding.weight:
        return
    for shard in folder.glob("*.safetensors"):
        with safe_open(shard, framework="pt") as file:
            if any(name.endswith("lm_head.weight") for name in file.keys()):  # noqa: SIM118 — no mapping
                return
    head.weight = embedding.weight


def load_template(folder: Path, kind: str, chosen: Base) -> Template:
    """Load a chat template with its tokenizer, or give the one that this process has loaded.

    Args:
        folder: Holds the base's tokenizer and chat template.
        kind: As `data.template` has it.
        chosen: The base.

    """
    if (folder, kind) not in _templates:
        _templates[folder, kind] = Template(folder, kind, chosen.family)
    return _templates[folder, kind]


def choose_dtype(machine: Machine) -> torch.dtype:
    """Give the precision that a machine computes in."""
    dtype: torch.dtype = getattr(torch, machine.compute_type)
    return dtype


def add_adapter(model: Any, settings: Settings) -> Any:
    """Put a new adapter on a base, ready to be trained."""
    progress.report("puts an adapter on the base")
    return FastLanguageModel.get_peft_model(
        model,
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=0,
        bias="none",
        target_modules=find_target_modules(model),
        use_gradient_checkpointing=False,
        random_state=settings.lora_seed,
    )


def recompute_activations(model: Any) -> None:
    """Let a model with an adapter compute its activations twice, which saves memory."""
    model.enable_input_require_grads()
    FastLanguageModel.for_training(model, use_gradient_checkpointing="unsloth")


def load_adapted(chosen: Base, adapter: Path, machine: Machine) -> Any:
    """Give the base with a trained adapter: the one that this process trained, or from its files.

    Args:
        chosen: The base.
        adapter: A folder as PEFT writes one.
        machine: Decides the precision.

    """
    key = files.sha256(adapter / WEIGHTS)
    if key not in _adapted:
        from peft import PeftModel  # noqa: PLC0415 — after Unsloth has patched it

        model, _ = load_base(chosen, machine)
        _adapted[key] = PeftModel.from_pretrained(model, adapter)
        _bases.clear()  # it is no base any more
    return _adapted[key]


def save_adapter(model: Any, out: Path) -> None:
    """Write an adapter as PEFT does, equal bytes for equal weights, and remember the model."""
    model.save_pretrained(out, safe_serialization=True)
    (out / "README.md").unlink(missing_ok=True)
    config_path = out / "adapter_config.json"
    config = json.loads(config_path.read_text("utf-8"))
    # A path of this machine; base.json says which base it is.
    config["base_model_name_or_path"] = None
    if isinstance(config["target_modules"], list):  # of a set, in another order each time
        config["target_modules"] = sorted(config["target_modules"])
    config_path.write_text(json.dumps(config, indent=1, sort_keys=True) + "\n", "utf-8")
    _bases.clear()
    _adapted[files.sha256(out / WEIGHTS)] = model


def forget() -> None:
    """Give the memory of every loaded model back."""
    _bases.clear()
    _adapted.clear()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
