"""The kinds of bases that cannot be built on, and what to use instead."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from builder.bases import wholeness
from builder.bases.facts import Facts
from builder.bases.families import recognise
from builder.bases.family import look_up

EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts")
SMALL = "Qwen/Qwen3-4B-Instruct-2507"
FETCH_AGAIN = "fetch it again: hf download OWNER/NAME --local-dir {source}"
NOT_WHOLE = "its repository is not whole: take another base"


@dataclass(frozen=True)
class Candidate:
    """A base that may be refused, described by its small files."""

    source: str
    facts: Facts
    files: frozenset[str] = frozenset()
    """The names of all its files, including weights; empty if they are not known."""
    template: str = "base"
    """The value of `data.template`: base, chatml or alpaca."""
    is_repository: bool = False
    """Whether it is a repository on the hub, to which the user cannot add files."""

    @property
    def config(self) -> Mapping[str, Any]:
        """The content of config.json."""
        return self.facts.config


@dataclass(frozen=True)
class Refusal:
    """A kind of base that cannot be built on."""

    name: str
    find: Callable[[Candidate], str | None]
    """Describes the base and what was expected; None if it is not of this kind."""
    instead: str
    """What to do or to use instead; {source} is filled in."""
    of_repository: str = ""
    """The same for a repository on the hub, if it differs."""


def _is_gguf(base: Candidate) -> str | None:
    if any(name.endswith(".safetensors") for name in base.files):
        return None
    if any(name.endswith(".gguf") for name in base.files):
        return "contains GGUF files, which cannot be trained, expected safetensors in 16 bit"
    return None


def _has_no_config(base: Candidate) -> str | None:
    if not (base.facts.folder / "config.json").is_file():
        return "contains no config.json, expected a base as Hugging Face writes one"
    return wholeness.find_broken_json(base.facts.folder, ("config.json", "tokenizer_config.json"))


def _is_quantised(base: Candidate) -> str | None:
    method = look_up(base.config, "quantization_config.quant_method")
    if not base.config.get("quantization_config"):
        return None
    return f"has weights quantised by {method or 'an unknown method'}, expected 16 bit"


def _is_pickled(base: Candidate) -> str | None:
    weights = [name for name in base.files if name.endswith((".safetensors", ".bin", ".pth"))]
    if not weights or any(name.endswith(".safetensors") for name in weights):
        return None
    return "has its weights as pickles, which can run code, expected safetensors"


def _is_gpt_oss(base: Candidate) -> str | None:
    if base.config.get("model_type") != "gpt_oss":
        return None
    return "is gpt-oss, whose MXFP4 experts cannot be merged with an adapter, expected a dense base"


def _is_mixture(base: Candidate) -> str | None:
    tables = (base.config, base.config.get("text_config") or {})
    counts = [table.get(key) or 0 for table in tables for key in EXPERTS]
    if not any(isinstance(count, int) and count > 1 for count in counts):
        return None
    return "is a mixture of experts, whose experts are not trained here, expected a dense base"


def _is_vision(base: Candidate) -> str | None:
    sees = any(key in base.config for key in ("vision_config", "audio_config"))
    if not sees or not recognise(base.config, base.facts.end_of_turn).is_derived:
        return None
    kind = base.config.get("model_type")
    return f"is a model for images or sound ({kind}), expected one for text"


def _writes_no_text(base: Candidate) -> str | None:
    architectures = base.config.get("architectures") or []
    named = [name for name in architectures if not name.endswith(("ForCausalLM", "Generation"))]
    if not named or len(named) < len(architectures):
        return None
    return f"is a {named[0]}, which writes no text, expected a model for chat (...ForCausalLM)"


def _needs_remote_code(base: Candidate) -> str | None:
    tables = (base.config, base.facts.tokenizer_config)
    if not any(table.get("auto_map") for table in tables):
        return None
    kind = str(base.config.get("model_type") or "")
    if not recognise(base.config, base.facts.end_of_turn).is_derived or _is_known(kind):
        return None
    return f"brings Python code of its own ({kind}), which is never run, expected none"


def _is_known(model_type: str) -> bool:
    """Say whether transformers includes the model's code."""
    from transformers.models.auto.configuration_auto import (  # noqa: PLC0415 — takes seconds
        CONFIG_MAPPING_NAMES,
    )

    return model_type in CONFIG_MAPPING_NAMES


def _always_thinks(base: Candidate) -> str | None:
    if not base.facts.always_thinks:
        return None
    return "thinks before every answer, which cannot be switched off, expected one that need not"


def _has_no_template(base: Candidate) -> str | None:
    family = recognise(base.config, base.facts.end_of_turn)
    if base.template != "base" or family.replacement or base.facts.chat_template:
        return None
    return "has no chat template, expected a base that was tuned for chat"


DENSE = f"take a dense base of its size, such as {SMALL}"
BY_FILES = (
    Refusal("GGUF", _is_gguf, "take the repository that it was converted from"),
    Refusal("pickled weights", _is_pickled, f"take a base in safetensors, such as {SMALL}"),
    Refusal(
        "no weights",
        lambda base: wholeness.find_no_weights(base.files),
        "give the folder that the weights are in",
        of_repository=f"take a base in safetensors, such as {SMALL}",
    ),
)
SHARDS = Refusal(
    "shards missing",
    lambda base: wholeness.find_gap(base.facts.folder, base.files),
    FETCH_AGAIN,
    of_repository=NOT_WHOLE,
)
REFUSALS = (
    *BY_FILES,
    Refusal(
        "no config.json",
        _has_no_config,
        "give the folder that config.json is in",
        of_repository=NOT_WHOLE,
    ),
    Refusal(
        "broken weights",
        lambda base: wholeness.find_broken_weights(base.facts.folder, base.files),
        FETCH_AGAIN,
        of_repository=NOT_WHOLE,
    ),
    Refusal(
        "templates without an end",
        lambda base: wholeness.find_endless_template(base.facts),
        'set data.template = "chatml" or "alpaca", or take another base',
    ),
    Refusal(
        "4-bit, FP8, AWQ, GPTQ",
        _is_quantised,
        "take the 16-bit repository that it was made from; training in 4 bit quantises by itself",
    ),
    SHARDS,
    Refusal("gpt-oss", _is_gpt_oss, DENSE),
    Refusal("mixtures of experts", _is_mixture, DENSE),
    Refusal("vision and audio", _is_vision, f"take the maker's text model, such as {SMALL}"),
    Refusal("no text generation", _writes_no_text, f"take a model for chat, such as {SMALL}"),
    Refusal("code of their own", _needs_remote_code, f"take one without, such as {SMALL}"),
    Refusal(
        "tokenizer of another family",
        lambda base: wholeness.find_other_vocabulary(base.facts),
        "put tokenizer.json and tokenizer_config.json of the base beside its weights",
        of_repository=f"take a base with its own tokenizer, such as {SMALL}",
    ),
    Refusal(
        "no EOS",
        lambda base: wholeness.find_no_eos(base.facts),
        "put the base's own tokenizer_config.json beside its weights",
        of_repository=f"take a base that names one, such as {SMALL}",
    ),
    Refusal(
        "thinking only (R1 distills, Qwen3-Thinking, QwQ)",
        _always_thinks,
        f"take an Instruct base, such as {SMALL}",
    ),
    Refusal(
        "no chat template", _has_no_template, 'set data.template = "alpaca", or take its Instruct'
    ),
    Refusal(
        "broken tokenizers",
        lambda base: wholeness.find_broken_tokenizer(base.facts.folder),
        FETCH_AGAIN,
        of_repository=NOT_WHOLE,
    ),
)
