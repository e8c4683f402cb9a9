"""The conversations whose prompts are compared: shapes that some engine once rendered wrongly."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

from builder.data.dataset import Example
from builder.data.tools import list_names, read_tools

# Of a persona's rows with tools: how many are compared, and the length of their names.
MOST_OWN, NAME_CHARACTERS = 8, 80


@dataclass(frozen=True)
class Shape:
    """A conversation that awaits its answer."""

    name: str
    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]] | None = None


def fingerprint() -> str:
    """Hash the shapes, so that a stage can declare them as an input."""
    return hashlib.sha256(_shapes_file().read_bytes()).hexdigest()[:12]


def list_shapes(jinja: str) -> list[Shape]:
    """List the shapes that a chat template can render; those with tools only if it knows tools."""
    lines = _shapes_file().read_text("utf-8").splitlines()
    every = [_read_shape(json.loads(line)) for line in lines]
    return [shape for shape in every if shape.tools is None or "tools" in jinja]


def make_own(examples: Iterable[Example], most_tokens: float = math.inf) -> list[Shape]:
    """Make shapes from a persona's rows with tools: one for each set of functions.

    It is the first row with the most calls.

    Args:
        examples: The rows.
        most_tokens: Longer rows are left out, since the daemon would cut them.

    """
    found: dict[str, Shape] = {}
    for example in examples:
        if not example.tools or len(example.input_ids) > most_tokens:
            continue
        name = f"own tools: {', '.join(list_names(example.tools))}"[:NAME_CHARACTERS]
        messages = list(example.conversation)
        while messages[-1]["role"] == "assistant":  # Ollama would continue that message
            messages.pop()
        shape, key = Shape(name, messages, example.tools), json.dumps(example.tools)
        if key not in found or _count_calls(shape) > _count_calls(found[key]):
            found[key] = shape
    return list(found.values())[:MOST_OWN]


def _count_calls(shape: Shape) -> int:
    return sum(len(message.get("tool_calls", [])) for message in shape.messages)


def _read_shape(value: dict[str, Any]) -> Shape:
    """Read a shape, with its tools in the form of trained rows."""
    return Shape(value["name"], value["messages"], read_tools(value.get("tools")) or None)


def _shapes_file() -> Traversable:
    return resources.files("builder.gates").joinpath("shapes.jsonl")


def merge_neighbours(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Merge neighbouring messages of one role, as Ollama does for its Go templates.

    Source:
        Ollama 0.34.2, template/template.go, collate.

    """
    merged: list[dict[str, Any]] = []
    for message in messages:
        if merged and merged[-1]["role"] == message["role"] and message["role"] != "tool":
            merged[-1] = {**message, "content": f"{merged[-1]['content']}\n\n{message['content']}"}
        else:
            merged.append(message)
    return merged
