"""The checkpoint of a training on a GPU: weights, optimiser, scaler and losses."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from builder import files
from builder.training.step import TrainingStep


def save(path: Path, step: TrainingStep, losses: Sequence[float], plan: str, *, steps: int) -> None:
    """Replace the checkpoint; a kill leaves either the old or the new one.

    Args:
        path: The file.
        step: The training step.
        losses: The losses of all steps so far.
        plan: The hash of the order of the rows: only the same order can resume.
        steps: The number of steps in all.

    """
    tensors, numbers = {}, {}
    for name, weight in step.weights.items():
        tensors[f"weight {name}"] = weight.detach()
        for moment, value in step.optimizer.state[weight].items():
            if isinstance(value, Tensor):
                tensors[f"{moment} {name}"] = value.clone()  # some weights share bitsandbytes' maps
            else:
                numbers[f"{moment} {name}"] = value
    metadata = {
        "plan": plan,
        "losses": json.dumps(list(losses)),
        "numbers": json.dumps(numbers),
        "done": str(len(losses)),
        "steps": str(steps),
    }
    if step.scaler.is_enabled():
        metadata["scaler"] = json.dumps(step.scaler.state_dict())
    with files.replacing(path) as temporary:
        save_file(tensors, temporary, metadata)


def load(path: Path, step: TrainingStep, plan: str) -> list[float]:
    """Load a checkpoint, in place.

    Args:
        path: The file.
        step: The training step, whose optimiser has allocated its state.
        plan: The hash of the order of the rows.

    Returns:
        The losses of its steps; empty if there is no checkpoint of this plan.

    """
    if not path.is_file():
        return []
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
        if metadata["plan"] != plan:
            return []
        with torch.no_grad():
            by_name = step.weights
            for key in file.keys():  # noqa: SIM118 — not a mapping
                moment, _, name = key.partition(" ")
                weight, value = by_name[name], file.get_tensor(key)
                state = step.optimizer.state[weight]
                if moment == "weight":
                    weight.copy_(value)
                elif moment in state:
                    state[moment].copy_(value)
                else:
                    state[moment] = value.to(weight.device)
            for key, number in json.loads(metadata["numbers"]).items():
                moment, _, name = key.partition(" ")
                step.optimizer.state[by_name[name]][moment] = number
    if step.scaler.is_enabled():
        step.scaler.load_state_dict(json.loads(metadata["scaler"]))
    return [float(loss) for loss in json.loads(metadata["losses"])]
