"""OLMo 2, by Ai2."""

from builder.bases import licences
from builder.bases.family import Family, Repository, Signs

# Format and licence are from the model card of allenai/OLMo-2-1124-13B-Instruct: turns are marked
# by plain words, and <|endoftext|> begins a conversation and ends each reply.
OLMO2 = Family(
    name="olmo2",
    signs=Signs(model_types=("olmo2",), end_of_turn="<|endoftext|>"),
    identity_words=("OLMo", "Ai2", "Allen Institute"),
    licence=licences.APACHE,
    repositories=tuple(
        Repository(
            name=f"allenai/OLMo-2-{name}-Instruct",
            parameters=parameters,
            embedding_parameters=embedding,
        )
        for name, parameters, embedding in (
            ("0425-1B", 1_480_000_000, 411_000_000),
            ("1124-7B", 7_300_000_000, 822_000_000),
            ("1124-13B", 13_700_000_000, 1_030_000_000),
        )
    ),
    verified="by reading: its chat template is in no package that the tests can fetch",
)

FAMILIES = (OLMO2,)
