"""What can be built, and the stages of each, in order."""

from __future__ import annotations

from builder.engine.stage import Stage
from builder.engine.targets import Target
from builder.stages import (
    ask,
    base,
    data,
    export,
    gates,
    merged,
    parity,
    record,
    register,
    render,
    replay,
    smoke,
    train,
)

STAGES: tuple[Stage, ...] = (
    base,
    data,
    render,
    replay,
    train,
    record,
    ask,
    export,
    parity,
    smoke,
    register,
)
ROWS = Target("rows", "the rows as they are trained on", (base, data))
MODEL = Target("model", "the model in Ollama", STAGES)
GATES = Target("gates", "every question of the gates, asked of the finished file", (gates,))
MERGED = Target(
    "merged",
    "the model in 16 bit, for transformers and vLLM",
    (base, data, replay, train, merged),
)
