"""What the process that renders Modelfile.j2 does; it imports Jinja and nothing of the project."""

from __future__ import annotations

import json
import resource
import sys
import traceback
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment

SHOWN_CHARACTERS = 300


class _TooLongError(Exception):
    message = "renders more than a Modelfile may hold"


def serve() -> None:
    """Render what stdin asks for within its limits, and answer on stdout, in JSON."""
    request = json.load(sys.stdin.buffer)
    _limit(request["most_cpu_s"], request["most_memory_bytes"])
    answer: dict[str, Any]
    try:
        environment = ImmutableSandboxedEnvironment(
            undefined=StrictUndefined, keep_trailing_newline=True
        )
        environment.filters.update(quoted=quote, parameter=write_parameter)
        template = environment.from_string(request["source"])
        answer = {
            "texts": [
                _render(template, values, request["most_characters"])
                for values in request["values"]
            ]
        }
    except MemoryError:
        answer = {"message": "takes too much memory to render", "line": None}
    except Exception as error:  # noqa: BLE001 — an expression of the template may raise anything
        message = getattr(error, "message", None) or f"{type(error).__name__}: {error}"
        answer = {"message": message[:SHOWN_CHARACTERS], "line": _find_line(error)}
    sys.stdout.write(json.dumps(answer))


def _limit(cpu_s: int, memory_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))


def _render(template: Template, values: dict[str, Any], most_characters: int) -> str:
    parts, size = [], 0
    for part in template.generate(values):
        parts.append(part)
        size += len(part)
        if size > most_characters:
            raise _TooLongError
    return "".join(parts)


def _find_line(error: Exception) -> int | None:
    """Find the line of the template at which rendering failed."""
    frames = traceback.walk_tb(error.__traceback__)
    at = [line for frame, line in frames if frame.f_code.co_filename == "<template>"]
    if isinstance(error, TemplateSyntaxError):  # Python's own counts lines of the compiled code
        return error.lineno
    return at[-1] if at else None


def quote(text: str) -> str:
    """Write a text of several lines."""
    return f'"""{text}"""'


def write_parameter(value: Any) -> str:
    """Write a parameter's value: a text in quotes, a boolean as Ollama has it."""
    if isinstance(value, str):
        return quote(value) if '"' in value else f'"{value}"'
    return str(value).lower() if isinstance(value, bool) else str(value)
