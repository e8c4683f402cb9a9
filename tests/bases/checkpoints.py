"""Small files of checkpoints as their makers publish them, without weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


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
