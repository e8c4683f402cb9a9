"""Loads a base with Unsloth, once for all stages of a process, and adds an adapter.

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
# The context that a base is loaded with if there are no rows that need more.
CONTEXT_TOKENS = 1024
# The model that this process has loaded: a base, by its source and settings, or that base with an
# adapter, by the hash of the adapter's weights.
_bases: dict[str, tuple[Any, Any]] = {}
_adapted: dict[str, Any] = {}
_templates: dict[tuple[Path, str], Template] = {}


def load_base(
    chosen: Base, machine: Machine, *, tokens: int = CONTEXT_TOKENS, attention: str | None = None
) -> tuple[Any, Any]:
    """Load a base, or return it if this process has loaded it before.

    Args:
        chosen: The base.
        machine: Decides the precision: bfloat16 if supported, else float16 on a GPU and float32
            on a CPU; 4 bit on a GPU only.
        tokens: Length of the longest row.
        attention: The attention as transformers names it; None is Unsloth's choice on a CPU, and
            SDPA on a GPU, where Unsloth would choose FlexAttention for some families, whose
            masks cannot be made during capture.

    Returns:
        The model and its tokenizer.

    Raises:
        ToolError: The GPU has no room for it.

    """
    on_gpu = machine.kind == "gpu"
    attention = attention or ("sdpa" if on_gpu else None)
    # Unsloth silently cuts longer rows.
    tokens = max(tokens, CONTEXT_TOKENS) if on_gpu else tokens
    source = [chosen.train_source, chosen.train_revision, chosen.four_bit]
    key = json.dumps([*source, attention, tokens])
    if key not in _bases:
        progress.report("loads the base")
        forget()  # there is room for one model
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
    """Load Ministral 3 on a CPU, where Unsloth loads causal language models only.

    transformers 5.17 lists Gemma 3 and 4 among those, but Ministral 3 among image-text models.
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
    """Tie the head to the embedding if the files hold no head, as in the exported file.

    transformers 5.17 loads Qwen3.5's text model by the inner table of config.json. If only the
    outer table says that the head is tied, the head gets random weights.
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
    """Load a chat template with its tokenizer, or return it if this process has loaded it before.

    Args:
        folder: Holds the base's tokenizer and chat template.
        kind: The value of `data.template`.
        chosen: The base.

    """
    if (folder, kind) not in _templates:
        _templates[folder, kind] = Template(folder, kind, chosen.family)
    return _templates[folder, kind]


def choose_dtype(machine: Machine) -> torch.dtype:
    """Choose the precision that a machine computes in."""
    dtype: torch.dtype = getattr(torch, machine.compute_type)
    return dtype


def add_adapter(model: Any, settings: Settings) -> Any:
    """Add a new adapter to a base, ready to be trained."""
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
    """Turn on gradient checkpointing, which saves memory."""
    model.enable_input_require_grads()
    FastLanguageModel.for_training(model, use_gradient_checkpointing="unsloth")


def load_adapted(chosen: Base, adapter: Path, machine: Machine) -> Any:
    """Return the base with a trained adapter: from memory if this process trained it, or load it.

    Args:
        chosen: The base.
        adapter: A folder in PEFT's format.
        machine: Decides the precision.

    """
    key = files.sha256(adapter / WEIGHTS)
    if key not in _adapted:
        from peft import PeftModel  # noqa: PLC0415 — after Unsloth has patched it

        model, _ = load_base(chosen, machine)
        _adapted[key] = PeftModel.from_pretrained(model, adapter)
        _bases.clear()  # PEFT has changed it in place
    return _adapted[key]


def save_adapter(model: Any, out: Path) -> None:
    """Write an adapter in PEFT's format, equal bytes for equal weights, and keep the model."""
    model.save_pretrained(out, safe_serialization=True)
    (out / "README.md").unlink(missing_ok=True)
    config_path = out / "adapter_config.json"
    config = json.loads(config_path.read_text("utf-8"))
    # It is a path on this machine; base.json names the base.
    config["base_model_name_or_path"] = None
    if isinstance(config["target_modules"], list):  # made from a set, in arbitrary order
        config["target_modules"] = sorted(config["target_modules"])
    config_path.write_text(json.dumps(config, indent=1, sort_keys=True) + "\n", "utf-8")
    _bases.clear()
    _adapted[files.sha256(out / WEIGHTS)] = model


def forget() -> None:
    """Free the memory of all loaded models."""
    _bases.clear()
    _adapted.clear()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
