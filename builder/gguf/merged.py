"""Writes base and adapter as a folder of 16-bit safetensors, for transformers and vLLM."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from builder import disk, files
from builder.gguf import merge
from builder.gguf.export import CLEAN, explain_full_disk, write_small_files

INDEX, CONFIG = "model.safetensors.index.json", "config.json"
# The untrained model in Mistral's own format, which vLLM and transformers would prefer.
OTHER_FORM = ("consolidated*.safetensors", "params.json", "tekken.json")
# The chat template of older processors, which would win over chat_template.jinja.
OTHER_TEMPLATE = ("chat_template.json",)
# The type for a base in 32 bit: unlike float16 it has the range of float32.
NARROW = torch.bfloat16


def write(
    base: Path,
    adapter: Path,
    out: Path,
    *,
    tokenizer: Path,
    chat_template: str,
    generation_config: dict[str, Any],
) -> str:
    """Write the merged model with its config, tokenizer, chat template and generation settings.

    Sums are computed in float32 and rounded to the type of the weight; weights of a base in 32 bit
    are written as bfloat16.

    Args:
        base: A folder with the base's safetensors and config.
        adapter: A folder in PEFT's format.
        out: The folder to make.
        tokenizer: A folder with the base's tokenizer.
        chat_template: The trained chat template.
        generation_config: The content of generation_config.json.

    Returns:
        The type of the weights, such as `bfloat16`.

    Raises:
        ToolError: There is too little room on the disk, or the adapter does not fit the base.

    """
    shards = list_shards(base)
    need_bytes = sum(shard.stat().st_size for shard in shards)
    disk.check_room(out.parent, need_bytes, "the merged model", hint=CLEAN)
    out.mkdir()
    with explain_full_disk(out.parent):
        write_small_files(base, tokenizer, chat_template, out)
        for pattern in (*OTHER_FORM, *OTHER_TEMPLATE):
            for file in out.glob(pattern):
                file.unlink()
        files.write_json(out / "generation_config.json", generation_config)
        return _write_weights(shards, adapter, out)


def list_shards(base: Path) -> list[Path]:
    """List the files of a base's weights, each once, in alphabetical order."""
    index = files.read_json(base / INDEX)
    if isinstance(index, dict) and isinstance(index.get("weight_map"), dict):
        return [base / name for name in sorted(set(index["weight_map"].values()))]
    return sorted(set(base.glob("*.safetensors")) - set(base.glob(OTHER_FORM[0])))


def _write_weights(shards: list[Path], adapter: Path, out: Path) -> str:
    config = json.loads((out / CONFIG).read_text("utf-8"))
    is_wide = _read_dtype(config) == "float32"
    size_bytes = 0
    for shard, found in merge.add_adapter(shards, adapter):
        weights = {
            name: weight.to(NARROW) if is_wide and weight.dtype == torch.float32 else weight
            for name, weight in found.items()
        }
        size_bytes += sum(weight.nbytes for weight in weights.values())
        save_file(weights, out / shard.name, metadata={"format": "pt"})
    if is_wide:
        _declare_narrow(config, out, size_bytes)
    return _read_dtype(config)


def _read_dtype(config: dict[str, Any]) -> str:
    """Read the type of a checkpoint's weights; without one in config.json it is float32."""
    text = config.get("text_config") or {}
    tables = [table for table in (config, text) if isinstance(table, dict)]
    names = [table.get(key) for table in tables for key in ("dtype", "torch_dtype")]
    return next((str(name) for name in names if name), "float32")


def _declare_narrow(config: dict[str, Any], out: Path, size_bytes: int) -> None:
    """Write the new type and size of the weights into config and index."""
    name = str(NARROW).removeprefix("torch.")
    for table in (config, config.get("text_config")):
        if isinstance(table, dict):
            table.pop("torch_dtype", None)
            table["dtype"] = name
    files.write_json(out / CONFIG, config)
    index = files.read_json(out / INDEX)
    if isinstance(index, dict):
        metadata = {**index.get("metadata", {}), "total_size": size_bytes}
        files.write_json(out / INDEX, {**index, "metadata": metadata})
