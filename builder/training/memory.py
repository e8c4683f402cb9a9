"""What training a base takes of a GPU's memory, estimated from its files before it is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder import files
from builder.bases.family import NF4_BYTES_PER_WEIGHT
from builder.training.shapes import Shape

# Of a trainable weight: itself, its gradient and AdamW's two moments, each in float32.
TRAINED_BYTES = 16
# Of a logit: itself in 16 bit and in float32, and the gradients of both.
LOGIT_BYTES = 12


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Bytes of GPU memory."""

    weights: int
    adapter: int
    """With its gradients and optimiser."""
    activations: int
    """Of one batch, with its logits."""

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.adapter + self.activations

    def describe(self, free: int) -> str:
        """Say it in one line, beside what is free."""
        parts = (
            f"weights {_format(self.weights)}, adapter and optimiser {_format(self.adapter)}, "
            f"activations {_format(self.activations)}"
        )
        return f"about {_format(self.total)} of GPU memory ({parts}); {_format(free)} are free"


def _format(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:.1f} GB"


def estimate(folder: Path, *, rank: int, four_bit: bool, shape: Shape) -> Estimate | None:
    """Estimate what training takes.

    Args:
        folder: The base's weights and config.json.
        rank: Of the adapter.
        four_bit: Whether 16-bit weights are quantised as they are loaded.
        shape: The largest batch.

    Returns:
        None where config.json does not say the sizes.

    """
    config = files.read_json(folder / "config.json") or {}
    text = config.get("text_config", config)
    try:
        sizes = _Sizes(text)
    except KeyError:
        return None
    weights = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    if four_bit and "quantization_config" not in config:
        embeddings = 2 * sizes.embedding_weights
        weights = embeddings + round((weights - embeddings) / 2 * NF4_BYTES_PER_WEIGHT)
    tokens = shape.rows * shape.tokens
    return Estimate(
        weights=weights,
        adapter=rank * sizes.layers * sizes.adapted_sides * TRAINED_BYTES,
        activations=tokens * sizes.layers * sizes.token_bytes
        + shape.slots * sizes.vocabulary * LOGIT_BYTES,
    )


class _Sizes:
    """The sizes of a decoder, read from config.json."""

    def __init__(self, config: dict[str, Any]) -> None:
        hidden, inner = config["hidden_size"], config["intermediate_size"]
        heads = config["num_attention_heads"]
        head = config.get("head_dim") or hidden // heads
        query = heads * head
        key = (config.get("num_key_value_heads") or heads) * head
        self.layers: int = config["num_hidden_layers"]
        self.vocabulary: int = config["vocab_size"]
        is_tied = config.get("tie_word_embeddings", True)
        self.embedding_weights = self.vocabulary * hidden * (1 if is_tied else 2)
        # A LoRA matrix has as many columns or rows as its layer has inputs or outputs: q and o,
        # k and v, then gate, up and down.
        self.adapted_sides = 2 * (hidden + query) + 2 * (hidden + key) + 3 * (hidden + inner)
        # 16-bit activations that wait for the backward pass, of one token in one layer: the
        # residual and its norm, twice; query, key and value before and after the rotation; the
        # attention's output; gate, up and their product.
        self.token_bytes = 2 * (4 * hidden + 3 * query + 3 * key + 3 * inner)
