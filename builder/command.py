"""The command that a message tells a person to type: `just build luma` or `persona build luma`."""

from __future__ import annotations

import os

# The justfile sets it to "just".
VARIABLE = "PERSONA_COMMAND"


def program() -> str:
    """Give the program that the person typed: `just` where a recipe started this, or `persona`."""
    return os.environ.get(VARIABLE) or "persona"


def command(arguments: str) -> str:
    """Write a command as the person would type it, from its name and arguments."""
    return f"{program()} {arguments}"


def has_recipes() -> bool:
    """Say whether the recipes that `persona` lacks, such as `just ollama`, can be named."""
    return program() == "just"
