"""The families of base models: how one is recognised, and what is known of it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from builder import files


@dataclass(frozen=True)
class Family:
    """What is known of a family of bases, and how it is best trained."""

    name: str
    pattern: str
    """Matched, in lower case, against the last part of the repository's or the folder's name."""
    identity_words: tuple[str, ...]
    """What the base calls itself and its makers: to be forgotten."""
    default_system: str
    """The piece of its chat template that adds a system text nobody asked for."""
    go_template: str | None
    """Its chat template as Ollama writes one, or None where the GGUF's own is served."""
    stop: tuple[str, ...]
    config: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    """Keys of config.json that tell it from other families, each with the values it may have."""
    parameters: dict[str, float] = field(default_factory=dict)
    """Sampling its makers advise."""
    alpha: int = 16
    learning_rate: float = 2e-4
    learning_rate_ratio: float = 1.0
    """Of an adapter's B to its A: LoRA+ (Hayou, Ghosh and Yu 2024)."""
    batch_size: int = 8
    honest_kl_nats: float = 0.5
    """Mean KL divergence of q4_k_m from the live model above which something else than quantisation is at fault."""


CHATML_GO = "{{ range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}<|im_start|>assistant\n"
COMMON_PARAMETERS: dict[str, Any] = {
    "temperature": 0.7,
    "top_p": 0.9,
    "top_k": 40,
    "min_p": 0.0,
    "repeat_penalty": 1.0,
    "num_ctx": 4096,
}

FAMILIES = (
    Family(
        name="smollm2",
        pattern=r"smollm2",
        identity_words=("SmolLM", "Hugging Face"),
        default_system=(
            "{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\n"
            "You are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}{% endif %}"
        ),
        go_template=CHATML_GO,
        stop=("<|im_end|>",),
        config={"model_type": ("llama",), "vocab_size": (49152,)},
        # temperature and top_p: the model card of HuggingFaceTB/SmolLM2-135M-Instruct.
        parameters={"temperature": 0.2, "top_p": 0.9},
        alpha=32,
        # Three epochs so know more than three and a half at 1e-3 for A and B alike: four and seven runs on an H100, asked through q4_k_m.
        learning_rate=5e-4,
        learning_rate_ratio=8.0,
        # Honest builds cost 0.07 to 0.09 nats here, its width being no multiple of 256; an adapter merged twice 0.8, one left out 1.2.
        honest_kl_nats=0.25,
        # Half the rows a step cost up to a quarter more time a row, and reach in 4 epochs what 8 rows reach in 8.
        batch_size=4,
    ),
    Family(
        name="qwen3-instruct",
        pattern=r"qwen3.*(2507|instruct)",
        identity_words=("Qwen", "Alibaba", "Tongyi", "通义", "千问", "阿里"),
        default_system="",
        go_template=None,
        stop=("<|im_end|>",),
        # Hybrid Qwen3 has 40960 positions.
        config={"model_type": ("qwen3", "qwen3_moe"), "max_position_embeddings": (262144,)},
        # The model card of Qwen/Qwen3-4B-Instruct-2507.
        parameters={"temperature": 0.7, "top_p": 0.8, "top_k": 20, "min_p": 0.0},
    ),
    Family(
        name="other", pattern=r"", identity_words=(), default_system="", go_template=None, stop=()
    ),
)


def family_of(source: str) -> Family:
    """Find a base's family by the last part of its repository's or folder's name."""
    name = Path(source).name.lower()
    return next(family for family in FAMILIES if re.search(family.pattern, name))


def family_of_folder(folder: Path) -> Family:
    """Find the family of a base in a folder by config.json and EOS, else by the folder's name."""
    config = files.read_json(folder / "config.json")
    config = config if isinstance(config, dict) else {}
    try:
        eos = read_eos(folder)
    except (OSError, ValueError, KeyError):
        eos = ""
    for family in FAMILIES:
        says_so = all(config.get(key) in values for key, values in family.config.items())
        if family.config and says_so and eos in family.stop:
            return family
    named = family_of(str(folder.resolve()))
    known = {key: values for key, values in named.config.items() if key in config}
    is_another = any(config[key] not in values for key, values in known.items())
    return FAMILIES[-1] if is_another else named


def read_eos(folder: Path) -> str:
    """Read the end token's text from a base's tokenizer settings."""
    token = json.loads((folder / "tokenizer_config.json").read_text())["eos_token"]
    return str(token["content"] if isinstance(token, dict) else token)
