"""Recipes that `training.recipe` names: values of keys that persona.toml leaves out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

Recipe = Mapping[str, Mapping[str, Any]]
"""Values by table and key."""

# The article that this project grew from trains Qwen3-4B-Instruct-2507 with Unsloth and TRL so. It
# has one learning rate for A and B, no answers of the base beside the rows, and each row once an
# epoch, which 60 steps may cut short or begin again.
ARTICLE: Recipe = {
    "training": {
        "rank": 16,
        "alpha": 16,
        "learning_rate": 2e-4,
        "learning_rate_ratio": 1.0,
        "epochs": 1.0,
        "max_steps": 60,
        "four_bit": True,
        "optimizer": "adamw_8bit",
        "batch_size": 1,
        "gradient_accumulation": 8,
        "warmup_steps": 5,
        "replay": 0.0,
        "lora_seed": 3407,
        "seed": 213,
    },
    "data": {"template": "alpaca"},
}
RECIPES: dict[str, Recipe] = {"article": ARTICLE}


def fill(recipe: Any, table: str, given: Any) -> Any:
    """Fill the keys that a table leaves out, by a recipe; those that are given win.

    Args:
        recipe: Its name; what names none fills nothing.
        table: The table's name.
        given: The table as it was written; what is none is given back.

    """
    if not isinstance(recipe, str) or recipe not in RECIPES or not isinstance(given, Mapping):
        return given
    values = dict(RECIPES[recipe].get(table, {}))
    if "epochs" in given and "max_steps" not in given:  # which would decide in its place
        values.pop("max_steps", None)
    return {**values, **given}


def describe(name: str) -> str:
    """List what a recipe sets, as persona.toml writes it."""
    return ", ".join(
        f"{key if table == 'training' else f'{table}.{key}'} = {json.dumps(value)}"
        for table, values in RECIPES[name].items()
        for key, value in values.items()
    )
