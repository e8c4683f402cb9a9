"""Conversations that are rendered to find out how a chat template writes turns and calls."""

from __future__ import annotations

from typing import Any

from builder.data.tools import Tool

# Rendered to find how a template marks turns. No template holds these words.
PROBE: list[dict[str, Any]] = [
    {"role": "user", "content": "northward"},
    {"role": "assistant", "content": "southward"},
    {"role": "user", "content": "eastward"},
    {"role": "assistant", "content": "westward"},
]
# Rendered to find whether a template renders tools; Mistral's ids have nine letters.
CALLED_TOOL: Tool = {
    "type": "function",
    "function": {
        "name": "outward",
        "description": "Goes out.",
        "parameters": {"type": "object", "properties": {"upward": {"type": "string"}}},
    },
}
CALLED: list[dict[str, Any]] = [
    PROBE[0],
    {
        "role": "assistant",
        "content": "",
        "tool_calls": [
            {
                "type": "function",
                "id": "southeast",
                "function": {"name": "outward", "arguments": {"upward": "downward"}},
            }
        ],
    },
    {"role": "tool", "content": "inward", "tool_call_id": "southeast"},
    PROBE[1],
]
