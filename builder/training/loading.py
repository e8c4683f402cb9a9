"""What Unsloth and torch read from the environment, and loading a base with them."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
from pathlib import Path
from typing import Any

from builder import files
from builder.machine import Accelerator, find_accelerator, find_device, read_processor_flags

# The base that this process has loaded, by what decides its weights: its length and itself.
_loaded: dict[tuple[Any, ...], tuple[int, Any, Any]] = {}


def load(
    folder: Path,
    accelerator: Accelerator,
    *,
    four_bit: bool,
    max_tokens: int,
    attention: str | None = None,
) -> tuple[Any, Any]:
    """Load a base with Unsloth, or give the one that this process has loaded already.

    `prepare_unsloth` must have run. Only one base is in memory at a time.

    Args:
        folder: Its weights, config and tokenizer.
        accelerator: What it runs on, which decides the type of its numbers.
        four_bit: Whether to quantise it on load; a processor never does.
        max_tokens: The longest row.
        attention: As transformers names it; None is Unsloth's choice.

    Returns:
        The model, without an adapter, and its tokenizer.

    """
    import unsloth  # noqa: F401, I001, PLC0415 — must come before the libraries it patches
    import torch  # noqa: PLC0415
    from unsloth import FastLanguageModel  # noqa: PLC0415

    on_gpu = accelerator.kind == "gpu"
    dtype = torch.bfloat16 if accelerator.has_bf16 else torch.float16 if on_gpu else torch.float32
    key = (folder, dtype, on_gpu and four_bit, attention)
    length, model, tokenizer = _loaded.get(key, (0, None, None))
    if length >= max_tokens:
        return model, tokenizer
    _loaded.clear()
    del model  # before the next one needs its memory
    model, tokenizer = FastLanguageModel.from_pretrained(
        str(folder),
        max_seq_length=max_tokens,
        dtype=dtype,
        load_in_4bit=on_gpu and four_bit,
        local_files_only=True,
        attn_implementation=attention,
    )
    _loaded[key] = (max_tokens, model, tokenizer)
    return model, tokenizer


def forget() -> None:
    """Drop the loaded base, whose state a failure left unknown."""
    _loaded.clear()


def release(model: Any) -> None:
    """Take the adapter off a model, so that the next to load its base gets it as it was."""
    if hasattr(model, "unload"):
        model.unload()


def prepare_unsloth(work: Path) -> None:
    """Set what Unsloth and torch read from the environment, before they are imported."""
    # Unsloth trains on one GPU: Kaggle's second T4 confuses it, and so does one that torch cannot
    # use.
    os.environ["CUDA_VISIBLE_DEVICES"] = find_device() if find_accelerator().kind == "gpu" else ""
    os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")  # as the driver's library counts them
    os.environ["UNSLOTH_DISABLE_STATISTICS"] = (
        "1"  # it waits two minutes where its server is out of reach
    )
    os.environ["UNSLOTH_COMPILE_LOCATION"] = str(work / "unsloth_compiled_cache")
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(_compiled()))
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"


def _compiled() -> Path:
    # torch names what it compiled by the code alone, but what one processor runs can be illegal on
    # another.
    processor = hashlib.sha256(read_processor_flags().encode()).hexdigest()[:8]
    return (
        files.cache_folder()
        / "compiled"
        / f"torch-{importlib.metadata.version('torch')}-{processor}"
    )
