"""Families of small bases by several makers: SmolLM, Granite, Phi, LFM and OLMo."""

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
    licence="Apache-2.0",
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
    # Three epochs so know more than three and a half at 1e-3 for A and B alike: four and seven runs
    # on an H100, asked through q4_k_m.
    learning_rate=5e-4,
    learning_rate_ratio=8.0,
    # Half the rows a step cost up to a quarter more time a row, and reach in 4 epochs what 8 rows
    # reach in 8.
    batch_size=4,
    # Builds without a fault come to 0.07 to 0.09 nats, its width being no multiple of 256; an
    # adapter merged twice to 0.8, one left out to 1.2.
    quantisation_error_nats=0.25,
)

SMOLLM3 = Family(
    name="smollm3",
    signs=Signs(model_types=("smollm3",), end_of_turn="<|im_end|>"),
    identity_words=("SmolLM", "Hugging Face"),
    replacement="smollm3",
    thinking="off: an empty thought stands before every answer",
    # The model card of HuggingFaceTB/SmolLM3-3B.
    parameters={"temperature": 0.6, "top_p": 0.95},
    licence="Apache-2.0",
    repositories=(
        Repository(
            name="HuggingFaceTB/SmolLM3-3B",
            parameters=3_080_000_000,
            embedding_parameters=263_000_000,
        ),
    ),
    verified="chat template compared with Unsloth's edit of the original",
)

GRANITE4 = Family(
    name="granite4",
    signs=Signs(model_types=("granite", "granitemoehybrid"), end_of_turn="<|end_of_text|>"),
    identity_words=("Granite", "IBM"),
    # Granite 4.0 alone has this piece; 4.1 adds no system text.
    removed=(
        (
            "{{- '<|start_of_role|>system<|end_of_role|>' + ns.default_system_message"
            " + '<|end_of_text|>\\n' }}"
        ),
    ),
    tools=True,
    # The model cards of ibm-granite advise greedy answers.
    parameters={"temperature": 0.0, "top_p": 1.0},
    licence="Apache-2.0",
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

PHI4_MINI = Family(
    name="phi4-mini",
    signs=Signs(model_types=("phi3",), end_of_turn="<|end|>", config={"vocab_size": (200064,)}),
    identity_words=("Phi", "Microsoft"),
    parameters={"temperature": 0.8, "top_p": 0.95},
    licence="MIT",
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

LFM2 = Family(
    name="lfm2",
    signs=Signs(model_types=("lfm2",), end_of_turn="<|im_end|>"),
    identity_words=("LFM", "Liquid AI", "Liquid"),
    tools=True,
    # "Recommended Liquid settings" in Unsloth's notebook for LFM2.5.
    parameters={"temperature": 0.1, "top_p": 0.1, "top_k": 50, "repeat_penalty": 1.05},
    licence="LFM Open License v1.0",
    licence_asks="no commercial use above a yearly revenue of 10 million dollars",
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

# The format and the licence are those of the model card of allenai/OLMo-2-1124-13B-Instruct: turns
# are marked by plain words, and <|endoftext|> begins a conversation and ends each reply.
OLMO2 = Family(
    name="olmo2",
    signs=Signs(model_types=("olmo2",), end_of_turn="<|endoftext|>"),
    identity_words=("OLMo", "Ai2", "Allen Institute"),
    licence="Apache-2.0",
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

FAMILIES = (SMOLLM2, SMOLLM3, GRANITE4, PHI4_MINI, LFM2, OLMO2)
