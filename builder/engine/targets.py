"""Targets: what a person asks for, and the stages that make it."""

from __future__ import annotations

from dataclasses import dataclass

from builder.engine.stage import Stage


@dataclass(frozen=True)
class Target:
    """Something that a person can ask for.

    Attributes:
        name: What it is called.
        description: What it is, in words.
        stages: The stages that make it, in order; the last one's output is the target.

    """

    name: str
    description: str
    stages: tuple[Stage, ...]
