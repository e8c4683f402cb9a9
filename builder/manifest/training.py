"""The table [training] of persona.toml: how the adapter is trained."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from builder.manifest import recipes
from builder.manifest.fields import Count, Seed
from builder.tables import Settings


class Training(Settings):
    """How the adapter is trained; what is left out comes from the base's family."""

    recipe: Literal["article"] | None = Field(
        None,
        description=(
            f"Sets keys that are left out; `article`: {recipes.describe('article')}. A key that is "
            "given beside it wins, `epochs` over its `max_steps` too."
        ),
    )
    rank: int = Field(16, ge=1, le=256, description="Rank of the adapter's matrices.")
    alpha: Count | None = Field(None, description="Adapter scale times rank; by base.")
    learning_rate: float | None = Field(
        None, gt=0, lt=1, description="Peak learning rate, of an adapter's A; by base."
    )
    learning_rate_ratio: float | None = Field(
        None,
        ge=1,
        le=100,
        description="Learning rate of an adapter's B over that of its A (LoRA+); by base.",
    )
    epochs: float | None = Field(
        None,
        gt=0,
        le=100,
        description="How often each row is trained on; by kind and number of rows.",
    )
    max_steps: Count | None = Field(None, description="Optimiser steps; wins over `epochs`.")
    four_bit: bool | None = Field(
        None,
        description=(
            "On a GPU, train on 4-bit weights (QLoRA); by default where the base has a billion "
            "weights or more and its family takes it (Qwen3.5 does not). A CPU trains on 16 bit "
            "where it computes bfloat16, else on 32."
        ),
    )
    optimizer: Literal["adamw", "adamw_8bit"] = Field(
        "adamw",
        description="AdamW, its moments in 32 bit, or in 8 bit by bitsandbytes, with less memory.",
    )
    batch_size: Count | None = Field(None, description="Rows in one forward pass; by base.")
    gradient_accumulation: Count = Field(1, description="Forward passes in one optimiser step.")
    warmup_steps: int = Field(
        5,
        ge=0,
        le=1_000_000,
        description="Steps until the peak learning rate, which falls to zero in a straight line.",
    )
    weight_decay: float = Field(0.01, ge=0, le=1, description="AdamW's decay.")
    replay: float | None = Field(
        None,
        ge=0,
        le=4,
        description=(
            "Answers of the base itself trained on for each row, against forgetting; by kind."
        ),
    )
    system_share: float = Field(
        0.5,
        ge=0,
        le=1,
        description=(
            "Share of the repeats of each row that carry `ollama.system` in training; with 0 a "
            "changed system text trains nothing again."
        ),
    )
    max_length: int = Field(
        1024, ge=16, le=32768, description="Longest row, in tokens; a longer one is an error."
    )
    report_to: Literal["tensorboard", "trackio", "wandb"] | None = Field(
        None,
        description=(
            "Where losses and learning rates are sent while it trains; its package must be "
            "installed."
        ),
    )
    lora_seed: Seed = Field(3407, description="Seed of the adapter's first values.")
    seed: Seed = Field(213, description="Seed of the order of rows.")

    @model_validator(mode="before")
    @classmethod
    def _follow_recipe(cls, given: Any) -> Any:
        return recipes.fill(find_recipe(given), "training", given)


def find_recipe(training: Any) -> Any:
    """Find the recipe in `[training]`, given its values or the table made from them."""
    if isinstance(training, Training):
        return training.recipe
    return training.get("recipe") if isinstance(training, dict) else None
