"""The sizes of a decoder, read from config.json."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import Any

# bitsandbytes NF4 with double quantisation: 4 bits a weight, and 8 bits for each 64 of them
# (Dettmers and others 2023, QLoRA, section 3); embeddings and head stay in 16 bit.
NF4_BYTES_PER_WEIGHT = 0.5 + 1 / 64


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """The sizes of a decoder."""

    layers: int
    hidden: int
    """C."""
    inner: int
    """The width of the feed-forward layers."""
    query: int
    """The width of all query heads together; `key` is that of all key heads."""
    key: int
    vocabulary: int
    is_tied: bool
    """Whether the head is the embedding."""

    @property
    def embedding_weights(self) -> int:
        """Count the weights of embedding and head."""
        return self.vocabulary * self.hidden * (1 if self.is_tied else 2)

    @property
    def weights(self) -> int:
        """Count the weights of all matrices: q and o, k and v, then gate, up and down."""
        attention = 2 * self.query + 2 * self.key
        return self.embedding_weights + self.layers * self.hidden * (attention + 3 * self.inner)


def read(config: dict[str, Any]) -> Sizes | None:
    """Read the sizes of the text model; None if config.json does not give them.

    Some families give a list with a number for each layer, which is not supported.
    """
    text = config.get("text_config", config)
    try:
        heads = text["num_attention_heads"]
        head = text.get("head_dim") or text["hidden_size"] // heads
        found = Sizes(
            layers=text["num_hidden_layers"],
            hidden=text["hidden_size"],
            inner=text["intermediate_size"],
            query=heads * head,
            key=(text.get("num_key_value_heads") or heads) * head,
            vocabulary=text["vocab_size"],
            is_tied=bool(text.get("tie_word_embeddings", True)),
        )
    except (AttributeError, KeyError, TypeError, ZeroDivisionError):
        return None
    return found if all(isinstance(size, int) and size >= 0 for size in astuple(found)) else None


def estimate_four_bit_bytes(size_bytes: int, embedding_bytes: int) -> int:
    """Estimate the size of weights quantised to 4 bit.

    Args:
        size_bytes: Their size in 16 bit.
        embedding_bytes: The part of that in the embedding and the head.

    """
    return embedding_bytes + round((size_bytes - embedding_bytes) / 2 * NF4_BYTES_PER_WEIGHT)
