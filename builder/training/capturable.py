"""A forward pass that never waits for the GPU, as a CUDA graph needs it."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor

from builder.training.decoder import find_decoder

LONGROPE = "longrope"


@contextmanager
def avoiding_waits(model: Any, longest_tokens: int) -> Iterator[None]:
    """Let a model's forward pass decide nothing by what the GPU holds.

    Rows are padded on the right and have no mask, so their causal masks follow from the length
    alone. Two things read from the GPU all the same, which also costs a step time without graphs:
    Unsloth looks whether positions follow each other before it leaves a mask out (unsloth_zoo
    2026.10.9, temporary_patches/misc.py), and LongRoPE looks for the highest position (transformers
    5.17, modeling_rope_utils.py), which is below the length of its short factors in most rows.

    Args:
        model: A PEFT model around a causal language model.
        longest_tokens: Length of the longest row that goes through it meanwhile.

    """
    decoder = find_decoder(model.get_base_model())
    with ExitStack() as changes:
        for names in _list_namespaces(decoder):
            for name in MASKS.keys() & names.keys():
                changes.enter_context(_replacing(names, name, MASKS[name]))
        for module in decoder.modules():
            if getattr(module, "rope_type", None) != LONGROPE:
                continue
            rope = module.config.rope_parameters
            if longest_tokens <= rope["original_max_position_embeddings"]:
                changes.enter_context(_replacing(vars(module), "rope_type", f"short {LONGROPE}"))
        yield


def _list_namespaces(decoder: Any) -> list[dict[str, Any]]:
    """List where its forward may look functions up: its own module, and one that Unsloth wrote."""
    spaces = [vars(sys.modules[type(decoder).__module__])]
    written = inspect.unwrap(type(decoder).forward).__globals__
    return spaces if written is spaces[0] else [*spaces, written]


@contextmanager
def _replacing(values: dict[str, Any], name: str, value: Any) -> Iterator[None]:
    before = values[name]
    values[name] = value
    try:
        yield
    finally:
        values[name] = before


def make_causal_mask(
    config: Any,
    inputs_embeds: Tensor,
    attention_mask: Tensor | None = None,
    *_positional: Any,
    **_named: Any,
) -> Tensor | None:
    """Give the mask of causal attention; none where the attention is causal without one."""
    if attention_mask is not None:
        return attention_mask
    return _make_mask(config, inputs_embeds, window=None)


def make_sliding_mask(
    config: Any,
    inputs_embeds: Tensor,
    attention_mask: Tensor | None = None,
    *_positional: Any,
    **_named: Any,
) -> Tensor | None:
    """Give the mask of a sliding window, likewise."""
    if attention_mask is not None:
        return attention_mask
    return _make_mask(config, inputs_embeds, window=config.sliding_window)


def _make_mask(config: Any, states: Tensor, window: int | None) -> Tensor | None:
    """Make a mask of shape (1, 1, T, T): of what SDPA may see, or what eager attention adds."""
    tokens = states.shape[1]
    takes_booleans = config._attn_implementation == "sdpa"  # noqa: SLF001 — no public name
    if takes_booleans and (window is None or tokens <= window):
        return None
    at = torch.arange(tokens, device=states.device)
    distance = at[:, None] - at[None, :]
    is_seen = distance >= 0
    if window is not None:
        is_seen &= distance < window
    if takes_booleans:
        return is_seen[None, None]
    hidden = torch.zeros(tokens, tokens, device=states.device, dtype=states.dtype)
    return hidden.masked_fill_(~is_seen, torch.finfo(states.dtype).min)[None, None]


MASKS = {
    "create_causal_mask": make_causal_mask,
    "create_sliding_window_causal_mask": make_sliding_mask,
}
