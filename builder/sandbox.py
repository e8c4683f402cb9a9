"""Renders templates in a separate process, with limits on time, memory and size.

Jinja's sandbox has none of these limits: nested loops or one product can take hours or all of the
memory, and a product cannot be interrupted from within the process.
"""

from __future__ import annotations

import importlib
import json
import resource
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
CODE = """
import sys
sys.path.insert(0, sys.argv[1])
from builder import sandbox
sandbox.serve()
"""
# Ordinary templates take milliseconds and 60 MiB, and render about as many characters as they are
# given.
MOST_CPU_S = 3
MOST_MEMORY_BYTES = 1 << 30
MOST_CHARACTERS = 16 << 20
# In wall-clock time, for a busy machine.
MOST_WAIT_S = 120
SHOWN_CHARACTERS = 300


class RenderingError(Exception):
    """A template is broken or exceeds the limits.

    Args:
        message: What is wrong.
        line: The line of the template, if known.

    """

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


class LimitError(RenderingError):
    """A template exceeds the limits."""


def render(
    module: str,
    source: str,
    values: list[dict[str, Any]],
    *,
    is_check: bool = False,
    most_cpu_s: int | None = None,
) -> list[str]:
    """Render a template once for each set of values.

    Args:
        module: A module with the function `compile_template(source)`, which returns a function
            that renders values piece by piece. It imports nothing heavy.
        source: The template's text.
        values: Sets of JSON values by name.
        is_check: Whether only the limits are checked: errors of the template pass, and no text is
            returned.
        most_cpu_s: The limit of CPU time for all renderings; `MOST_CPU_S` by default.

    Raises:
        RenderingError: The template is broken.
        LimitError: It exceeds the limits, or the process that renders it died.

    """
    most_cpu_s = most_cpu_s or MOST_CPU_S
    request = {
        "module": module,
        "source": source,
        "values": values,
        "is_check": is_check,
        "most_cpu_s": most_cpu_s,
        "most_memory_bytes": MOST_MEMORY_BYTES,
        "most_characters": MOST_CHARACTERS,
    }
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", CODE, str(ROOT)],
            input=json.dumps(request).encode(),
            capture_output=True,
            timeout=MOST_WAIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise LimitError(f"takes more than {MOST_WAIT_S} s") from None
    if -done.returncode in (signal.SIGXCPU, signal.SIGKILL):
        raise LimitError(f"takes more than {most_cpu_s} s to render")
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        why = f"{done.returncode}, {last[:200]}" if last else str(done.returncode)
        raise LimitError(f"ends the process that renders it ({why})") from None
    if "limit" in answer:
        raise LimitError(answer["limit"])
    if "message" in answer:
        raise RenderingError(answer["message"], answer["line"])
    return [str(text) for text in answer["texts"]]


def serve() -> None:
    """Read a request from stdin, render it within its limits, and answer on stdout, in JSON."""
    request = json.load(sys.stdin.buffer)
    module = importlib.import_module(request["module"])
    _limit(request["most_cpu_s"], request["most_memory_bytes"])
    try:
        answer = json.dumps({"texts": _render_all(module.compile_template, request)})
    except MemoryError:
        answer = json.dumps({"limit": "takes too much memory to render"})
    except LimitError as error:
        answer = json.dumps({"limit": error.message})
    except Exception as error:  # noqa: BLE001 — an expression in a template can raise anything
        message = getattr(error, "message", None) or f"{type(error).__name__}: {error}"
        told = {"message": message[:SHOWN_CHARACTERS], "line": _find_line(error)}
        answer = json.dumps(told)
    sys.stdout.write(answer)


def _render_all(compile_template: Callable[[str], Any], request: dict[str, Any]) -> list[str]:
    generate = compile_template(request["source"])
    texts = []
    for values in request["values"]:
        try:
            text = _join(generate(values), request["most_characters"])
        except (MemoryError, LimitError):
            raise
        except Exception:
            if not request["is_check"]:
                raise
        else:
            texts += [] if request["is_check"] else [text]
    return texts


def _limit(cpu_s: int, memory_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for limit, most in ((resource.RLIMIT_CPU, cpu_s), (resource.RLIMIT_AS, memory_bytes)):
        _, hardest = resource.getrlimit(limit)
        # A limit that is lower already, as by `ulimit -v`, cannot be raised.
        least = most if hardest == resource.RLIM_INFINITY else min(most, hardest)
        resource.setrlimit(limit, (least, least))


def _join(pieces: Iterable[str], most_characters: int) -> str:
    parts, size = [], 0
    for part in pieces:
        parts.append(part)
        size += len(part)
        if size > most_characters:
            raise LimitError("renders more than it may")
    return "".join(parts)


def _find_line(error: Exception) -> int | None:
    """Find the line of the template that failed."""
    from jinja2 import TemplateSyntaxError  # noqa: PLC0415 — only in the process that renders

    if isinstance(error, TemplateSyntaxError):  # its traceback has lines of the compiled code
        return error.lineno
    frames = traceback.walk_tb(error.__traceback__)
    at = [line for frame, line in frames if frame.f_code.co_filename == "<template>"]
    return at[-1] if at else None
