"""SmolLM2 and SmolLM3, by Hugging Face; the embedded base is the smallest SmolLM2."""

from builder.bases import licences
from builder.bases.family import Family, Repository, Signs

CHATML_GO = (
    "{{ range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}"
    "<|im_start|>assistant\n"
)

SMOLLM2 = Family(
    name="smollm2",
    signs=Signs(model_types=("llama",), end_of_turn="<|im_end|>", config={"vocab_size": (49152,)}),
    identity_words=("SmolLM", "Hugging Face"),
    removed=(
        (
            "{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\n"
            "You are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}"
            "{% endif %}"
        ),
    ),
    go_template=CHATML_GO,
    # The model card of HuggingFaceTB/SmolLM2-135M-Instruct.
    parameters={"temperature": 0.2, "top_p": 0.9},
    licence=licences.APACHE,
    repositories=tuple(
        Repository(
            name=f"HuggingFaceTB/SmolLM2-{size}-Instruct",
            parameters=parameters,
            embedding_parameters=embedding,
        )
        for size, parameters, embedding in (
            ("135M", 135_000_000, 28_000_000),
            ("360M", 362_000_000, 47_000_000),
            ("1.7B", 1_710_000_000, 101_000_000),
        )
    ),
    verified="built and served",
    alpha=32,
    # Three epochs with these rates know more than three and a half with 1e-3 for both A and B: four
    # and seven runs on an H100, examined in q4_k_m.
    learning_rate=5e-4,
    learning_rate_ratio=8.0,
    # Four rows a step take up to a quarter more time for each row, and reach in 4 epochs what 8
    # rows a step reach in 8.
    batch_size=4,
    # Correct builds have 0.07 to 0.09 nats, as the width is not a multiple of 256; with an adapter
    # merged twice it is 0.8, and without the adapter 1.2.
    quantisation_error_nats=0.25,
)

SMOLLM3 = Family(
    name="smollm3",
    signs=Signs(model_types=("smollm3",), end_of_turn="<|im_end|>"),
    identity_words=("SmolLM", "Hugging Face"),
    replacement="smollm3",
    thinking="off: an empty thought comes before every answer",
    # The model card of HuggingFaceTB/SmolLM3-3B.
    parameters={"temperature": 0.6, "top_p": 0.95},
    licence=licences.APACHE,
    repositories=(
        Repository(
            name="HuggingFaceTB/SmolLM3-3B",
            parameters=3_080_000_000,
            embedding_parameters=263_000_000,
        ),
    ),
    verified="chat template compared with Unsloth's edit of the original",
)

FAMILIES = (SMOLLM2, SMOLLM3)
