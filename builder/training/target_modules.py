"""Which layers of a model get an adapter."""

from __future__ import annotations

import re
from typing import Any

from torch import nn

from builder.training.decoder import find_decoder

# Of a mixture of experts; an adapter there changes which expert answers.
ROUTERS = {"router", "gate"}


def find_target_modules(causal: Any) -> list[str] | str:
    """Find every linear layer inside the decoder's layers, as PEFT's `target_modules` names them.

    Embeddings, the head, vision and audio towers are left out.

    Returns:
        Last parts of names in alphabetical order, such as `q_proj`; or, where such a name also
        occurs outside the decoder, a pattern that whole names match.

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
