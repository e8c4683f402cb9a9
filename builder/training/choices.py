"""What pays on a machine: which attention, and compiling."""

from __future__ import annotations

from builder.machine import Machine
from builder.training.settings import Settings

# In bfloat16 on a CPU torch's fused attention is slower than plain products
# (benchmarks/train.py), whose memory grows with the square of the length.
PLAIN_ATTENTION_TOKENS = 512
# Compiling the layers takes as long as it saves in so many steps on a CPU, the first time on a
# machine (benchmarks/train.py).
COMPILE_FROM_STEPS = 150
# What a training on a processor does before its steps, in a user's words: one of the two.
COMPILES, STARTS = "compiles the layers", "takes the first step"
# So many times as long takes a step whose layers are not compiled (benchmarks/train.py).
UNCOMPILED_FACTOR = 1.5


def choose_attention(tokens: int, machine: Machine) -> str | None:
    """Name the attention for batches of so many tokens; None is Unsloth's choice."""
    is_plain = machine.kind == "cpu" and machine.has_bf16 and tokens <= PLAIN_ATTENTION_TOKENS
    return "eager" if is_plain else None


def is_worth_compiling(settings: Settings, rows: int, epochs: float, machine: Machine) -> bool:
    """Say whether a training has the steps to win back what compiling its layers costs."""
    rows_a_step = settings.batch_size * settings.gradient_accumulation
    steps = settings.max_steps or rows * epochs / rows_a_step
    return machine.kind == "cpu" and steps >= COMPILE_FROM_STEPS
