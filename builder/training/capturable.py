"""A forward pass that never waits for the GPU, so that a CUDA graph can capture it."""

from __future__ import annotations

import functools
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
    """Replace the parts of a model's forward pass that wait for the GPU.

    Rows are padded on the right and have no mask, so their causal mask depends on the length only.
    Three parts wait for the GPU all the same: Unsloth checks that positions are consecutive before
    it leaves a mask out (unsloth_zoo 2026.10.9, temporary_patches/misc.py), the mask of eager
    attention is copied from the CPU (transformers 5.17, masking_utils.py), and LongRoPE reads the
    highest position (modeling_rope_utils.py), although its short factors suffice for all but very
    long rows.

    Args:
        model: A PEFT model around a causal language model.
        longest_tokens: Length of the longest row that goes through it.

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
    """List the namespaces of its forward pass: of its own module, and of one that Unsloth wrote."""
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


def make_mask(
    config: Any,
    inputs_embeds: Tensor,
    attention_mask: Tensor | None = None,
    *_positional: Any,
    is_sliding: bool,
    **_named: Any,
) -> Tensor | None:
    """Make the mask of causal or sliding-window attention from the length only.

    Args:
        config: Of the decoder.
        inputs_embeds: Shape (B, T, C).
        attention_mask: If given, it is returned.
        is_sliding: Whether a position only sees as far back as the window.

    Returns:
        A boolean mask for SDPA or an additive one for eager attention, shape (1, 1, T, T); None
        if SDPA, which is causal by itself, needs none.

    """
    if attention_mask is not None:
        return attention_mask
    tokens, window = inputs_embeds.shape[1], config.sliding_window if is_sliding else None
    takes_booleans = config._attn_implementation == "sdpa"  # noqa: SLF001 — no public name
    if takes_booleans and (window is None or tokens <= window):
        return None
    at = torch.arange(tokens, device=inputs_embeds.device)
    distance = at[:, None] - at[None, :]
    is_seen = distance >= 0
    if window is not None:
        is_seen &= distance < window
    if takes_booleans:
        return is_seen[None, None]
    dtype = inputs_embeds.dtype
    hidden = torch.zeros(tokens, tokens, device=inputs_embeds.device, dtype=dtype)
    return hidden.masked_fill_(~is_seen, torch.finfo(dtype).min)[None, None]


MASKS = {
    "create_causal_mask": functools.partial(make_mask, is_sliding=False),
    "create_sliding_window_causal_mask": functools.partial(make_mask, is_sliding=True),
}
