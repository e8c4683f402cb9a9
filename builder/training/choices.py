"""Which attention to use on a machine, and whether compiling is worth it."""

from __future__ import annotations

from builder.machine import Machine
from builder.training.settings import Settings

# In bfloat16 on a CPU, torch's fused attention is slower than eager attention
# (benchmarks/train.py), whose memory grows with the square of the length.
PLAIN_ATTENTION_TOKENS = 512
# On a CPU, compiling the layers for the first time takes as long as it saves in so many steps
# (benchmarks/train.py).
COMPILE_FROM_STEPS = 150
# The words for what training on a CPU does before its steps: one of the two.
COMPILES, STARTS = "compiles the layers", "takes the first step"
# How much longer a step takes if the layers are not compiled (benchmarks/train.py).
UNCOMPILED_FACTOR = 1.5


def choose_attention(tokens: int, machine: Machine) -> str | None:
    """Choose the attention for batches of so many tokens; None leaves the choice to Unsloth."""
    is_plain = machine.kind == "cpu" and machine.has_bf16 and tokens <= PLAIN_ATTENTION_TOKENS
    return "eager" if is_plain else None


def is_worth_compiling(settings: Settings, rows: int, epochs: float, machine: Machine) -> bool:
    """Say whether training has enough steps to make up for compiling the layers."""
    rows_a_step = settings.batch_size * settings.gradient_accumulation
    steps = settings.max_steps or rows * epochs / rows_a_step
    return machine.kind == "cpu" and steps >= COMPILE_FROM_STEPS
