"""The checkpoint of an interrupted training: its weights, optimiser, scaler, losses and step."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from builder import files
from builder.training.step import TrainingStep

NAME = "captured.safetensors"
MOMENTS = ("step", "exp_avg", "exp_avg_sq")


def save(path: Path, step: TrainingStep, losses: Sequence[float], plan: str) -> None:
    """Write a checkpoint in the place of the one before; a kill leaves one of the two.

    Args:
        path: The file.
        step: What is trained.
        losses: Of every step so far.
        plan: Names the order of the rows; another order cannot go on from here.

    """
    tensors = {}
    for name, weight in step.weights.items():
        tensors[f"weight {name}"] = weight.detach()
        for moment in MOMENTS:
            tensors[f"{moment} {name}"] = step.optimizer.state[weight][moment]
    metadata = {"plan": plan, "losses": json.dumps(list(losses))}
    if step.scaler.is_enabled():
        metadata["scaler"] = json.dumps(step.scaler.state_dict())
    with files.replacing(path) as temporary:
        save_file(tensors, temporary, metadata)


def load(path: Path, step: TrainingStep, plan: str) -> list[float]:
    """Go back to a checkpoint, in place.

    Args:
        path: The file.
        step: What is trained; its optimiser has its state.
        plan: As `save` was told it.

    Returns:
        The losses of its steps; none where there is no checkpoint of this plan.

    """
    if not path.is_file():
        return []
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
        if metadata["plan"] != plan:
            return []
        with torch.no_grad():
            for name, weight in step.weights.items():
                weight.copy_(file.get_tensor(f"weight {name}"))
                for moment in MOMENTS:
                    state = step.optimizer.state[weight][moment]
                    state.copy_(file.get_tensor(f"{moment} {name}"))
    if step.scaler.is_enabled():
        step.scaler.load_state_dict(json.loads(metadata["scaler"]))
    return [float(loss) for loss in json.loads(metadata["losses"])]
