"""The targets: what commands can build, each a tuple of stages in order.

`MODEL` is the model in Ollama, and all that `build` runs. `ROWS` are the rows as they are trained
on, `GATES` is the finished file's answers to every question of the gates, and `MERGED` is the model
in 16 bit. The output of the last stage is the target.
"""

from __future__ import annotations

from builder.engine.stage import Stage
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

MODEL: tuple[Stage, ...] = (
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
ROWS: tuple[Stage, ...] = (base, data)
GATES: tuple[Stage, ...] = (gates,)
MERGED: tuple[Stage, ...] = (base, data, replay, train, merged)
