"""The recipes of `training.recipe`: values for keys that persona.toml leaves out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

Recipe = Mapping[str, Mapping[str, Any]]
"""Values by table and key."""

# How the article that this project is based on trains Qwen3-4B-Instruct-2507 with Unsloth and TRL:
# one learning rate for A and B, no replay, each row once an epoch, and 60 steps, whatever the
# number of rows.
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
    """Fill keys that a table leaves out with a recipe's values.

    Args:
        recipe: The name of the recipe; an unknown one fills nothing.
        table: The table's name.
        given: The table in the manifest; anything else is returned unchanged.

    """
    if not isinstance(recipe, str) or recipe not in RECIPES or not isinstance(given, Mapping):
        return given
    values = dict(RECIPES[recipe].get(table, {}))
    if "epochs" in given and "max_steps" not in given:  # otherwise the recipe's max_steps would win
        values.pop("max_steps", None)
    return {**values, **given}


def describe(name: str) -> str:
    """List the values of a recipe, in TOML."""
    return ", ".join(
        f"{key if table == 'training' else f'{table}.{key}'} = {json.dumps(value)}"
        for table, values in RECIPES[name].items()
        for key, value in values.items()
    )
