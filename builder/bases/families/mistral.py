"""Mistral 7B, Nemo and Ministral 3: the system text is in the last user turn, or in its own."""

from builder.bases import licences
from builder.bases.family import Family, Repository, Signs

IDENTITY_WORDS = ("Mistral", "Ministral", "Mistral AI", "Le Chat")

MISTRAL_7B = Family(
    name="mistral-7b",
    signs=Signs(
        model_types=("mistral",), end_of_turn="</s>", config={"vocab_size": (32000, 32768)}
    ),
    identity_words=IDENTITY_WORDS,
    replacement="mistral-7b",
    tools=True,
    parameters={"temperature": 0.7, "top_p": 0.95},
    licence=licences.APACHE,
    repositories=(
        Repository(
            name="mistralai/Mistral-7B-Instruct-v0.3",
            parameters=7_250_000_000,
            embedding_parameters=268_000_000,
            four_bit="unsloth/mistral-7b-instruct-v0.3-bnb-4bit",
        ),
    ),
    verified="by reading: its chat template is in no package that the tests can fetch",
)

MISTRAL_NEMO = Family(
    name="mistral-nemo",
    signs=Signs(model_types=("mistral",), end_of_turn="</s>", config={"vocab_size": (131072,)}),
    identity_words=IDENTITY_WORDS,
    replacement="mistral-nemo",
    tools=True,
    # Unsloth Studio's inference_defaults.json (unslothai/unsloth, 2026-08).
    parameters={"temperature": 0.7, "top_p": 0.95},
    licence=licences.APACHE,
    repositories=(
        Repository(
            name="mistralai/Mistral-Nemo-Instruct-2407",
            parameters=12_200_000_000,
            embedding_parameters=1_340_000_000,
            four_bit="unsloth/Mistral-Nemo-Instruct-2407-bnb-4bit",
        ),
    ),
    verified="chat template compared with the original",
)

# Mistral's own repositories hold FP8 weights; Unsloth's copies hold 16 bit.
MINISTRAL3 = Family(
    name="ministral3",
    signs=Signs(
        model_types=("mistral3",),
        end_of_turn="</s>",
        config={"text_config.model_type": ("ministral3",)},
    ),
    identity_words=IDENTITY_WORDS,
    replacement="ministral3",
    thinking="never, in the Instruct checkpoints",
    tools=True,
    parameters={"temperature": 0.15, "top_p": 0.95},
    licence=licences.APACHE,
    repositories=tuple(
        Repository(
            name=f"unsloth/Ministral-3-{size}-Instruct-2512",
            parameters=parameters,
            embedding_parameters=embedding,
            four_bit=f"unsloth/Ministral-3-{size}-Instruct-2512-unsloth-bnb-4bit",
        )
        for size, parameters, embedding in (
            ("3B", 3_800_000_000, 403_000_000),
            ("8B", 8_900_000_000, 1_070_000_000),
        )
    ),
    verified="chat template compared with that of the Reasoning checkpoint",
)

FAMILIES = (MISTRAL_7B, MISTRAL_NEMO, MINISTRAL3)
