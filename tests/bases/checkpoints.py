"""Checkpoints as their makers publish them: small files without weights, and one of two layers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# A header of two bytes.
NO_TENSORS = (2).to_bytes(8, "little") + b"{}"


def write_small_files(
    folder: Path,
    config: dict[str, Any],
    *,
    eos: str | None = "<|im_end|>",
    jinja: str | None = CHATML,
    added: tuple[str, ...] = (),
    vocabulary: tuple[str, ...] = (),
) -> Path:
    """Write config.json, tokenizer_config.json and, of a vocabulary, tokenizer.json."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    tokens = {str(at): {"content": text} for at, text in enumerate(added)}
    settings = {"eos_token": eos, "bos_token": "<s>", "added_tokens_decoder": tokens}
    settings |= {"chat_template": jinja} if jinja else {}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    if vocabulary:
        model = {"type": "BPE", "vocab": {text: at for at, text in enumerate(vocabulary)}}
        tokenizer = {"model": model, "added_tokens": []}
        (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    return folder


def write_base(folder: Path, config: dict[str, Any], **files: Any) -> Path:
    """Write the small files of a base and weights without a tensor."""
    write_small_files(folder, config, **files)
    (folder / "model.safetensors").write_bytes(NO_TENSORS)
    return folder


def make_tiny_base(folder: Path) -> None:
    """Write a llama of two small layers with random weights and the embedded base's tokenizer."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from builder.bases import fetch
    from builder.bases.base import EMBEDDED, Base

    embedded = fetch.find_weights(
        Base(EMBEDDED, "embedded", "test", EMBEDDED, "test", four_bit=False)
    )
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=49152,
        hidden_size=256,
        intermediate_size=512,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=2,
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copyfile(embedded / name, folder / name)
