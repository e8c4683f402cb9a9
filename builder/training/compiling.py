"""Compiles the layers of a model."""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch._dynamo import config as dynamo

from builder import progress
from builder.training.choices import COMPILES
from builder.training.decoder import find_decoder

log = logging.getLogger("builder")


def compile_layers(model: Any) -> None:
    """Compile the layers of a model with torch, once for all layers and lengths.

    Without a C++ compiler or Python's headers they are not compiled.
    """
    progress.report(COMPILES)
    try:
        torch.compile(torch.square)(torch.ones(8))
    except Exception as error:  # noqa: BLE001 — whatever keeps torch from compiling
        reason = str(error).strip().partition("\n")[0]
        log.warning(
            "train: its layers cannot be compiled (%s), so that training takes 1.5 times as long; "
            "on Debian: apt install build-essential python3-dev",
            reason,
        )
        return
    dynamo.suppress_errors = True  # layers that torch cannot compile run eagerly
    # Otherwise the first layer, whose input needs no gradient, would be compiled separately.
    model.enable_input_require_grads()
    for layer in find_decoder(model.get_base_model()).layers:
        layer.compile(dynamic=True)
