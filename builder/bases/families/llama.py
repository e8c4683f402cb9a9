"""Llama 3.1, 3.2 and 3.3, by Meta: every prompt has a date and a system text."""

from builder.bases import licences
from builder.bases.family import Family, Repository, Signs

# Llama 3, 3.1, 3.2 and 3.3 have the same vocabulary and format, except for dates and tools.
LLAMA3 = Family(
    name="llama3",
    signs=Signs(model_types=("llama",), end_of_turn="<|eot_id|>", config={"vocab_size": (128256,)}),
    identity_words=("Llama", "Meta AI", "Meta"),
    replacement="llama3",
    tools=True,
    # The model card of meta-llama/Llama-3.1-8B-Instruct.
    parameters={"temperature": 0.6, "top_p": 0.9},
    licence=licences.LLAMA,
    repositories=tuple(
        Repository(
            name=f"meta-llama/Llama-{name}-Instruct",
            parameters=parameters,
            embedding_parameters=embedding,
            four_bit=f"unsloth/Llama-{name}-Instruct-unsloth-bnb-4bit",
            licence=licences.make_llama(name.partition("-")[0]),
        )
        for name, parameters, embedding in (
            ("3.2-1B", 1_240_000_000, 263_000_000),
            ("3.2-3B", 3_210_000_000, 394_000_000),
            ("3.1-8B", 8_030_000_000, 1_050_000_000),
            ("3.3-70B", 70_600_000_000, 2_100_000_000),
        )
    ),
    verified="chat template compared with the original",
)

FAMILIES = (LLAMA3,)
