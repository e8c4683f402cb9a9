"""Phi-4-mini, by Microsoft."""

from builder.bases import licences
from builder.bases.family import Family, Repository, Signs

PHI4_MINI = Family(
    name="phi4-mini",
    signs=Signs(model_types=("phi3",), end_of_turn="<|end|>", config={"vocab_size": (200064,)}),
    identity_words=("Phi", "Microsoft"),
    parameters={"temperature": 0.8, "top_p": 0.95},
    licence=licences.MIT,
    repositories=(
        Repository(
            name="microsoft/Phi-4-mini-instruct",
            parameters=3_840_000_000,
            embedding_parameters=615_000_000,
            four_bit="unsloth/Phi-4-mini-instruct-unsloth-bnb-4bit",
        ),
    ),
    verified="by reading: its chat template is in no package that the tests can fetch",
)

FAMILIES = (PHI4_MINI,)
