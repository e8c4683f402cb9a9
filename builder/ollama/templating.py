"""Compiles Modelfile.j2: Jinja with two filters. It imports nothing from this project."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from jinja2 import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment


def compile_template(source: str) -> Callable[[dict[str, Any]], Iterable[str]]:
    """Compile a Modelfile.j2 into a function that renders piece by piece."""
    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, keep_trailing_newline=True
    )
    environment.filters.update(quoted=quote, parameter=write_parameter)
    return environment.from_string(source).generate


def quote(text: str) -> str:
    """Write a text in triple quotes, for several lines."""
    return f'"""{text}"""'


def write_parameter(value: Any) -> str:
    """Write the value of a parameter: text in quotes, booleans in lower case."""
    if isinstance(value, str):
        return quote(value) if '"' in value else f'"{value}"'
    return str(value).lower() if isinstance(value, bool) else str(value)
