"""The settings of a training, with no defaults left; it imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from builder.bases.families import Family
from builder.manifest.training import Training


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How an adapter is trained; `builder.manifest.training` describes each setting."""

    rank: int
    alpha: int
    learning_rate: float
    learning_rate_ratio: float
    max_steps: int | None
    optimizer: Literal["adamw", "adamw_8bit"]
    batch_size: int
    gradient_accumulation: int
    warmup_steps: int
    weight_decay: float
    lora_seed: int
    seed: int


def resolve(table: Training, family: Family) -> Settings:
    """Fill settings that the manifest leaves out with those of the base's family."""
    return Settings(
        rank=table.rank,
        alpha=table.alpha or family.alpha,
        learning_rate=table.learning_rate or family.learning_rate,
        learning_rate_ratio=table.learning_rate_ratio or family.learning_rate_ratio,
        max_steps=table.max_steps,
        optimizer=table.optimizer,
        batch_size=table.batch_size or family.batch_size,
        gradient_accumulation=table.gradient_accumulation,
        warmup_steps=table.warmup_steps,
        weight_decay=table.weight_decay,
        lora_seed=table.lora_seed,
        seed=table.seed,
    )
