"""The language of Modelfile.j2: Jinja with two filters. It imports nothing of the project."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from jinja2 import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment


def compile_template(source: str) -> Callable[[dict[str, Any]], Iterable[str]]:
    """Compile a Modelfile.j2, to be rendered piece by piece."""
    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, keep_trailing_newline=True
    )
    environment.filters.update(quoted=quote, parameter=write_parameter)
    return environment.from_string(source).generate


def quote(text: str) -> str:
    """Write a text of several lines."""
    return f'"""{text}"""'


def write_parameter(value: Any) -> str:
    """Write a parameter's value: a text in quotes, a boolean as Ollama has it."""
    if isinstance(value, str):
        return quote(value) if '"' in value else f'"{value}"'
    return str(value).lower() if isinstance(value, bool) else str(value)
