"""Granite 4 without a mixture of experts, by IBM."""

from builder.bases import licences
from builder.bases.family import Family, Repository, Signs

GRANITE4 = Family(
    name="granite4",
    signs=Signs(model_types=("granite", "granitemoehybrid"), end_of_turn="<|end_of_text|>"),
    identity_words=("Granite", "IBM"),
    # Only Granite 4.0 has this piece; 4.1 adds no system text.
    removed=(
        (
            "{{- '<|start_of_role|>system<|end_of_role|>' + ns.default_system_message"
            " + '<|end_of_text|>\\n' }}"
        ),
    ),
    tools=True,
    # The model cards of ibm-granite advise greedy answers.
    parameters={"temperature": 0.0, "top_p": 1.0},
    licence=licences.APACHE,
    repositories=(
        Repository(
            name="ibm-granite/granite-4.0-350m",
            parameters=352_000_000,
            embedding_parameters=103_000_000,
            four_bit="unsloth/granite-4.0-350m-unsloth-bnb-4bit",
        ),
        Repository(
            name="ibm-granite/granite-4.0-1b",
            parameters=1_600_000_000,
            embedding_parameters=206_000_000,
            four_bit="unsloth/granite-4.0-1b-unsloth-bnb-4bit",
        ),
        Repository(
            name="ibm-granite/granite-4.0-micro",
            parameters=3_400_000_000,
            embedding_parameters=257_000_000,
            four_bit="unsloth/granite-4.0-micro-unsloth-bnb-4bit",
        ),
        Repository(
            name="ibm-granite/granite-4.1-3b",
            parameters=3_400_000_000,
            embedding_parameters=257_000_000,
        ),
    ),
    verified="chat template compared with the original",
)

FAMILIES = (GRANITE4,)
