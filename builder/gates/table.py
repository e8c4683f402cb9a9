"""The gates, in the order in which they are asked and judged; no other module lists them."""

from __future__ import annotations

from builder.evaluation.gate import Gate
from builder.gates import (
    calls,
    end,
    fidelity,
    greeting,
    held_out,
    leak_in,
    leak_out,
    neutral,
    recall,
    retention,
    sampled,
    stop,
    system,
    trained,
)
from builder.gates import format as json_format

GATES: tuple[Gate, ...] = (
    fidelity,
    neutral,
    held_out,
    trained,
    end,
    system,
    recall,
    leak_in,
    leak_out,
    retention,
    sampled,
    greeting,
    json_format,
    calls,
    stop,
)
