"""The GPU memory that training needs, computed from the base's files and the largest batch.

builder/bases/memory.py estimates it from the number of weights, before the files are fetched.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from builder import files
from builder.bases import sizes
from builder.bases.sizes import Sizes
from builder.training.shapes import BatchShape

# For each trainable weight: the weight, its gradient and AdamW's two moments, each in float32.
TRAINED_BYTES = 16
# For each logit: its value in 16 bit and in float32, and the gradients of both.
LOGIT_BYTES = 12


@dataclass(frozen=True, kw_only=True)
class Footprint:
    """Bytes of GPU memory."""

    weights: int
    adapter: int
    """With its gradients and the optimiser's state."""
    activations: int
    """For one batch, with its logits."""

    @property
    def total(self) -> int:
        """The sum."""
        return self.weights + self.adapter + self.activations

    def describe(self, free: int) -> str:
        """Write it in one line, with the free memory."""
        parts = (
            f"weights {_format(self.weights)}, adapter and optimiser {_format(self.adapter)}, "
            f"activations {_format(self.activations)}"
        )
        return f"about {_format(self.total)} of GPU memory ({parts}); {_format(free)} are free"


def _format(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:.1f} GB"


def estimate(folder: Path, *, rank: int, four_bit: bool, shape: BatchShape) -> Footprint | None:
    """Estimate the memory that training needs.

    Args:
        folder: The base's weights and config.json.
        rank: The rank of the adapter.
        four_bit: Whether 16-bit weights are quantised as they are loaded.
        shape: The largest batch.

    Returns:
        None if config.json does not give the sizes.

    """
    config = files.read_json(folder / "config.json") or {}
    found = sizes.read(config)
    if found is None:
        return None
    weights = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    if four_bit and "quantization_config" not in config:
        weights = sizes.estimate_four_bit_bytes(weights, 2 * found.embedding_weights)
    tokens = shape.rows * shape.tokens
    return Footprint(
        weights=weights,
        adapter=rank * found.layers * _count_adapted_sides(found) * TRAINED_BYTES,
        activations=tokens * found.layers * _count_token_bytes(found)
        + shape.slots * found.vocabulary * LOGIT_BYTES,
    )


def _count_adapted_sides(of: Sizes) -> int:
    """Count the inputs and outputs of a layer's matrices: each has a row of A or a column of B."""
    return 2 * (of.hidden + of.query) + 2 * (of.hidden + of.key) + 3 * (of.hidden + of.inner)


def _count_token_bytes(of: Sizes) -> int:
    """Count the bytes of activations that a layer keeps for the backward pass, for each token.

    In 16 bit, these are the residual and its norm, twice; query, key and value before and after the
    rotation; the attention's output; gate, up and their product.
    """
    return 2 * (4 * of.hidden + 3 * of.query + 3 * of.key + 3 * of.inner)
