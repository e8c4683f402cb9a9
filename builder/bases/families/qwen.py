"""Qwen, by Alibaba: ChatML; Qwen2.5 adds a system text, Qwen3 and 3.5 can think."""

from builder.bases import licences
from builder.bases.family import Family, Repository, Signs

IDENTITY_WORDS = ("Qwen", "Alibaba", "Tongyi", "通义", "千问", "阿里")
DEFAULT_SYSTEM = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."

QWEN3_2507 = Family(
    name="qwen3-2507",
    # Hybrid Qwen3 has 40960 positions.
    signs=Signs(
        model_types=("qwen3",),
        end_of_turn="<|im_end|>",
        config={"max_position_embeddings": (262144,)},
    ),
    identity_words=IDENTITY_WORDS,
    tools=True,
    # The model card of Qwen/Qwen3-4B-Instruct-2507.
    parameters={"temperature": 0.7, "top_p": 0.8, "top_k": 20, "min_p": 0.0},
    licence=licences.APACHE,
    repositories=(
        Repository(
            name="Qwen/Qwen3-4B-Instruct-2507",
            parameters=4_020_000_000,
            embedding_parameters=389_000_000,
            four_bit="unsloth/Qwen3-4B-Instruct-2507-unsloth-bnb-4bit",
        ),
    ),
    verified="chat template compared with the original",
)

QWEN3 = Family(
    name="qwen3",
    signs=Signs(model_types=("qwen3",), end_of_turn="<|im_end|>"),
    identity_words=IDENTITY_WORDS,
    replacement="qwen3",
    thinking="off: an empty thought comes before every answer",
    tools=True,
    # The model card of Qwen/Qwen3-8B, for answers without thinking.
    parameters={"temperature": 0.7, "top_p": 0.8, "top_k": 20, "min_p": 0.0},
    licence=licences.APACHE,
    repositories=tuple(
        Repository(
            name=f"Qwen/Qwen3-{size}",
            parameters=parameters,
            embedding_parameters=embedding,
            four_bit=f"unsloth/Qwen3-{size}-unsloth-bnb-4bit",
        )
        for size, parameters, embedding in (
            ("0.6B", 596_000_000, 156_000_000),
            ("1.7B", 1_720_000_000, 311_000_000),
            ("4B", 4_020_000_000, 389_000_000),
            ("8B", 8_190_000_000, 1_240_000_000),
            ("14B", 14_800_000_000, 1_560_000_000),
        )
    ),
    verified="chat template compared with the original",
)

QWEN2_5 = Family(
    name="qwen2.5",
    signs=Signs(model_types=("qwen2",), end_of_turn="<|im_end|>"),
    identity_words=IDENTITY_WORDS,
    removed=(
        "{{- '<|im_start|>system\\n" + DEFAULT_SYSTEM + "<|im_end|>\\n' }}",
        "{{- '" + DEFAULT_SYSTEM + "' }}",
    ),
    tools=True,
    # generation_config.json of Qwen/Qwen2.5-7B-Instruct, without its repetition penalty.
    parameters={"temperature": 0.7, "top_p": 0.8, "top_k": 20},
    licence=licences.APACHE,
    repositories=tuple(
        Repository(
            name=f"Qwen/Qwen2.5-{size}-Instruct",
            parameters=parameters,
            embedding_parameters=embedding,
            four_bit=f"unsloth/Qwen2.5-{size}-Instruct-unsloth-bnb-4bit",
            licence=licences.QWEN_RESEARCH if size == "3B" else None,
        )
        for size, parameters, embedding in (
            ("0.5B", 494_000_000, 136_000_000),
            ("1.5B", 1_540_000_000, 233_000_000),
            ("3B", 3_090_000_000, 311_000_000),
            ("7B", 7_620_000_000, 1_090_000_000),
            ("14B", 14_800_000_000, 1_560_000_000),
        )
    ),
    verified="chat template compared with the original",
)

QWEN3_5 = Family(
    name="qwen3.5",
    signs=Signs(model_types=("qwen3_5", "qwen3_5_text"), end_of_turn="<|im_end|>"),
    identity_words=IDENTITY_WORDS,
    replacement="qwen3.5",
    thinking="off: an empty thought comes before every answer",
    tools=True,
    # Unsloth Studio's inference_defaults.json (unslothai/unsloth, 2026-08).
    parameters={"temperature": 0.7, "top_p": 0.8, "top_k": 20, "presence_penalty": 1.5},
    licence=licences.APACHE,
    repositories=tuple(
        Repository(
            name=f"Qwen/Qwen3.5-{size}",
            parameters=parameters,
            embedding_parameters=embedding,
        )
        for size, parameters, embedding in (
            ("0.8B", 800_000_000, 254_000_000),
            ("2B", 2_000_000_000, 509_000_000),
            ("4B", 4_000_000_000, 636_000_000),
            ("9B", 9_000_000_000, 2_030_000_000),
        )
    ),
    # Unsloth's guide to Qwen3.5 advises against 4 bit: its quantisation error is high.
    four_bit=False,
    verified="chat template compared with the original",
)

FAMILIES = (QWEN3_2507, QWEN3, QWEN2_5, QWEN3_5)
