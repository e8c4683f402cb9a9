"""Finds the layers of a model that get an adapter."""

from __future__ import annotations

import re
from typing import Any

from torch import nn

from builder.training.decoder import find_decoder

# The routers of a mixture of experts: an adapter there would change which expert answers.
ROUTERS = {"router", "gate"}


def find_target_modules(causal: Any) -> list[str] | str:
    """Find every linear layer of the decoder's layers, in the form of PEFT's `target_modules`.

    Embeddings, head, vision and audio towers are left out.

    Returns:
        The last parts of their names in alphabetical order, such as `q_proj`; or a pattern for
        whole names, if such a last part also occurs outside of the decoder.

    """
    layers = find_decoder(causal).layers
    inside = {
        id(module): name for name, module in layers.named_modules() if _is_adapted(name, module)
    }
    suffixes = sorted({name.rpartition(".")[2] for name in inside.values()})
    is_elsewhere = any(
        name.rpartition(".")[2] in suffixes and id(module) not in inside
        for name, module in causal.named_modules()
    )
    if not is_elsewhere:
        return suffixes
    prefix = next(name for name, module in causal.named_modules() if module is layers)
    return rf"{re.escape(prefix)}\.\d+\.(?:.+\.)?(?:{'|'.join(map(re.escape, suffixes))})"


def _is_adapted(name: str, module: nn.Module) -> bool:
    return isinstance(module, nn.Linear) and not ROUTERS & set(name.split("."))
