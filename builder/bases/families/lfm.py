"""LFM2 and LFM2.5, by Liquid AI: short convolutions between layers of attention."""

from builder.bases import licences
from builder.bases.family import Family, Repository, Signs

LFM2 = Family(
    name="lfm2",
    signs=Signs(model_types=("lfm2",), end_of_turn="<|im_end|>"),
    identity_words=("LFM", "Liquid AI", "Liquid"),
    tools=True,
    # "Recommended Liquid settings" in Unsloth's notebook for LFM2.5.
    parameters={"temperature": 0.1, "top_p": 0.1, "top_k": 50, "repeat_penalty": 1.05},
    licence=licences.LFM,
    repositories=(
        Repository(
            name="LiquidAI/LFM2-350M", parameters=354_000_000, embedding_parameters=67_000_000
        ),
        Repository(
            name="LiquidAI/LFM2-700M", parameters=742_000_000, embedding_parameters=101_000_000
        ),
        Repository(
            name="LiquidAI/LFM2-1.2B",
            parameters=1_170_000_000,
            embedding_parameters=134_000_000,
            four_bit="unsloth/LFM2-1.2B-unsloth-bnb-4bit",
        ),
        Repository(
            name="LiquidAI/LFM2.5-1.2B-Instruct",
            parameters=1_170_000_000,
            embedding_parameters=134_000_000,
        ),
    ),
    verified="its own chat template, rendered",
)

FAMILIES = (LFM2,)
