"""Adds an adapter to the weights of its base."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file

from builder import progress
from builder.errors import ToolError

FLOATS = (torch.float16, torch.bfloat16, torch.float32)
# Parts of tensor names that say how a language model is wrapped. They differ between the hub's
# files, the loaded model and the converter (transformers 5.17, conversion_mapping.py; llama.cpp,
# conversion/base.py, `filter_tensors`).
WRAPPERS = {"model", "language_model"}

# How many values are summed at a time, a megabyte: allocating memory for a whole weight would take
# longer than the sum.
CHUNK_VALUES = 1 << 18
OTHER_BASE = "delete the adapter and build with --discard: it was trained on another base"


@dataclass(frozen=True)
class Change:
    """The trained change of a weight of shape (O, C): B @ A * scale."""

    b: torch.Tensor
    """Shape (O, R), float32."""
    a: torch.Tensor
    """Shape (R, C), float32."""
    scale: float

    def compute(self) -> torch.Tensor:
        """Compute the change, shape (O, C), float32."""
        return (self.b @ self.a).mul_(self.scale)


def name_layer(tensor: str) -> str:
    """Give a layer one name for the hub's files, the loaded model, the adapter and the converter.

    Args:
        tensor: The name of a weight, such as `model.language_model.layers.0.mlp.up_proj.weight`.

    Returns:
        The layer's name without its wrappers, such as `layers.0.mlp.up_proj`.

    """
    parts = tensor.removesuffix(".weight").split(".")
    return ".".join(part for part in parts if part not in WRAPPERS)


def read_changes(adapter: Path) -> dict[str, Change]:
    """Read an adapter in PEFT's format: its changes, by the layer names of `name_layer`.

    Raises:
        ToolError: Its config or its weights are damaged.

    """
    try:
        config = json.loads((adapter / "adapter_config.json").read_text("utf-8"))
        matrices = load_file(adapter / "adapter_model.safetensors")
        return dict(_list_changes(matrices, config["lora_alpha"] / config["r"]))
    except (KeyError, TypeError, ValueError, ZeroDivisionError, SafetensorError) as error:
        raise ToolError(
            f"{adapter}: cannot be read ({type(error).__name__}: {error}), expected an adapter in "
            "PEFT's format",
            hint="delete it and build with --discard: it is trained again",
        ) from error


def _list_changes(matrices: dict[str, torch.Tensor], scale: float) -> Iterator[tuple[str, Change]]:
    suffix = ".lora_A.weight"
    for name, a in matrices.items():
        if name.endswith(suffix):
            layer = name.removesuffix(suffix)
            b = matrices[f"{layer}.lora_B.weight"]
            yield (
                name_layer(layer.removeprefix("base_model.model.")),
                Change(b.float(), a.float(), scale),
            )


def add_adapter(
    shards: Sequence[Path], adapter: Path, dtype: torch.dtype | None = None
) -> Iterator[tuple[Path, dict[str, torch.Tensor]]]:
    """Read a base's shards one by one, with the adapter added.

    Args:
        shards: Files of 16-bit or 32-bit weights.
        adapter: A folder in PEFT's format.
        dtype: The type that sums are rounded to; None keeps each weight's type.

    Yields:
        A shard, and its tensors by name.

    Raises:
        ToolError: The adapter is of another base, or the weights are not in 16 or 32 bit.

    """
    changes = read_changes(adapter)
    waiting, done, total = set(changes), 0, _count_tensors(shards)
    for shard in shards:
        weights = {}
        with safe_open(shard, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 — not a mapping
                progress.report("adds the adapter to the base", done, total, "tensors")
                done += 1
                weight, layer = file.get_tensor(name), name_layer(name)
                if name.endswith(".weight") and layer in changes:
                    where = f"{shard}: {name}"
                    weight = add(weight, changes[layer], where, dtype or weight.dtype)
                    waiting.discard(layer)
                weights[name] = weight.contiguous()
        yield shard, weights
    check_complete(waiting, changes, adapter)


def check_complete(missing: Collection[str], changes: Collection[str], where: str | Path) -> None:
    """Refuse an adapter with layers that the base lacks.

    Args:
        missing: The adapted layers that were not found.
        changes: All adapted layers.
        where: The path for the message.

    Raises:
        ToolError: A layer is missing.

    """
    if missing:
        raise ToolError(
            f"{where}: {len(missing)} of {len(changes)} adapted layers are not in the base "
            f"({min(missing)}), expected all",
            hint=OTHER_BASE,
        )


def _count_tensors(shards: Sequence[Path]) -> int:
    count = 0
    for shard in shards:
        with safe_open(shard, framework="pt") as file:
            count += len(file.keys())
    return count


def add(weight: torch.Tensor, change: Change, where: str, dtype: torch.dtype) -> torch.Tensor:
    """Add a change to a weight, in float32, some rows at a time.

    Args:
        weight: Shape (O, C).
        change: The trained change.
        where: The weight, for messages.
        dtype: The type that the sum is rounded to.

    Raises:
        ToolError: The change does not fit the weight.

    """
    check_fit(weight, change, where)
    total = torch.empty(weight.shape, dtype=dtype)
    step = max(1, CHUNK_VALUES // weight.shape[1])
    for first in range(0, len(weight), step):
        rows = slice(first, first + step)
        total[rows] = weight[rows].float() + (change.b[rows] @ change.a) * change.scale
    return total


def check_fit(weight: torch.Tensor, change: Change, where: str) -> None:
    """Refuse a change that does not have the weight's shape, or a weight not in 16 or 32 bit.

    Raises:
        ToolError: Either is the case.

    """
    if weight.dtype not in FLOATS:
        raise ToolError(
            f"{where}: is {weight.dtype}, expected 16-bit weights",
            hint="name a repository of the same base in 16 bit, such as one of unsloth/",
        )
    trained = (len(change.b), change.a.shape[1])
    if tuple(weight.shape) != trained:
        raise ToolError(
            f"{where}: has shape {tuple(weight.shape)}, expected {trained} as in the adapter",
            hint=OTHER_BASE,
        )
