"""What can be built, and the stages of each, in order."""

from __future__ import annotations

from builder.engine.stage import Stage
from builder.engine.targets import Target
from builder.stages import (
    base,
    data,
    export,
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
    export,
    parity,
    smoke,
    register,
)
ROWS = Target("rows", "the rows as they are trained on", (base, data))
MODEL = Target("model", "the model in Ollama", STAGES)
TARGETS = {target.name: target for target in (ROWS, MODEL)}
