"""Commands in messages: `just build luma` or `persona build luma`, as the user started it."""

from __future__ import annotations

import os

# The justfile sets this variable to "just".
VARIABLE = "PERSONA_COMMAND"


def program() -> str:
    """Give the program that the user typed: `just` if a recipe started this, else `persona`."""
    return os.environ.get(VARIABLE) or "persona"


def command(arguments: str) -> str:
    """Write a command as the user would type it."""
    return f"{program()} {arguments}"


def has_recipes() -> bool:
    """Say whether messages can name recipes that `persona` lacks, such as `just ollama`."""
    return program() == "just"
