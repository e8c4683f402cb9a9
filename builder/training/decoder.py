"""Access to the decoder and the logits of a causal language model, however it is wrapped."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn, tanh


def find_decoder(causal: Any) -> Any:
    """Find the module that computes hidden states: `model`, or the language model inside it.

    Args:
        causal: A model of transformers with a head, such as `Gemma3ForConditionalGeneration`.

    """
    inner = causal.model
    return getattr(inner, "language_model", inner)


def compute_logits(causal: Any, hidden: Tensor) -> Tensor:
    """Compute logits as the model's own forward does, with its scale and soft cap.

    Args:
        causal: A model of transformers with a head.
        hidden: Hidden states, shape (..., C).

    Returns:
        Logits, shape (..., V), float32.

    Source:
        transformers 5.17: modeling_granite.py and modeling_granitemoehybrid.py
        (`logits_scaling` divides), modeling_cohere.py (`logit_scale` multiplies),
        modeling_gemma4.py (`final_logit_softcapping`).

    """
    config = causal.config.get_text_config()
    head = causal.get_output_embeddings()
    # Granite 4's multipliers give 32-bit states, and its own forward runs under autocast.
    logits: Tensor = head(hidden.to(head.weight.dtype))
    if (divisor := getattr(config, "logits_scaling", None)) is not None:
        logits = logits / divisor
    if (factor := getattr(config, "logit_scale", None)) is not None:
        logits = logits * factor
    if (cap := getattr(config, "final_logit_softcapping", None)) is not None:
        logits = tanh(logits / cap) * cap
    return logits.float()


def can_pack(causal: Any, longest_tokens: int) -> bool:
    """Say whether rows that are packed under a block-diagonal mask are independent.

    A convolution or a recurrent state carries over from one row to the next, whatever the mask:
    every such layer of LFM2, Qwen3.5 and Granite hybrid has a convolution. The mask also replaces
    that of a sliding window, which must therefore be at least as long as the longest row.
    """
    window = getattr(causal.config.get_text_config(), "sliding_window", None)
    has_state = any(isinstance(module, nn.Conv1d) for module in find_decoder(causal).modules())
    return not has_state and (window is None or window >= longest_tokens)
