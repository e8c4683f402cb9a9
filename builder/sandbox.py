"""A template rendered under limits of time, memory and size, in a process of its own.

Jinja's sandbox limits none of the three: a loop in a loop, or one product, takes hours or all of
the memory, and the second cannot be interrupted from within.
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
# A template of the project or of a base takes some milliseconds, 60 MiB and as many characters as
# it is given.
MOST_CPU_S = 3
MOST_MEMORY_BYTES = 1 << 30
MOST_CHARACTERS = 16 << 20
# By the clock, where the machine is busy.
MOST_WAIT_S = 120
SHOWN_CHARACTERS = 300


class RenderingError(Exception):
    """A template is broken, or takes too much.

    Args:
        message: What is wrong.
        line: Where, if that is known.

    """

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


class LimitError(RenderingError):
    """A template takes more time or memory than it may, or renders more."""


def render(
    module: str,
    source: str,
    values: list[dict[str, Any]],
    *,
    is_check: bool = False,
    most_cpu_s: int | None = None,
) -> list[str]:
    """Render a template with one set of values after another.

    Args:
        module: Has the function `compile_template(source)`, which gives a function that renders
            values piece by piece. It imports nothing heavy.
        source: The template's text.
        values: JSON values by the names that the template knows.
        is_check: Whether only the limits are checked: values that the template cannot render pass,
            and no text is given back.
        most_cpu_s: Seconds of processor time for all of it; `MOST_CPU_S` by default.

    Raises:
        RenderingError: It is broken.
        LimitError: It cannot be rendered within the limits, or the process that renders it died.

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
    """Render what stdin asks for within its limits, and answer on stdout, in JSON."""
    request = json.load(sys.stdin.buffer)
    module = importlib.import_module(request["module"])
    _limit(request["most_cpu_s"], request["most_memory_bytes"])
    try:
        answer = json.dumps({"texts": _render_all(module.compile_template, request)})
    except MemoryError:
        answer = json.dumps({"limit": "takes too much memory to render"})
    except LimitError as error:
        answer = json.dumps({"limit": error.message})
    except Exception as error:  # noqa: BLE001 — an expression of the template may raise anything
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
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))


def _join(pieces: Iterable[str], most_characters: int) -> str:
    parts, size = [], 0
    for part in pieces:
        parts.append(part)
        size += len(part)
        if size > most_characters:
            raise LimitError("renders more than it may")
    return "".join(parts)


def _find_line(error: Exception) -> int | None:
    """Find the line of the template at which rendering failed."""
    from jinja2 import TemplateSyntaxError  # noqa: PLC0415 — where a template is rendered alone

    if isinstance(error, TemplateSyntaxError):  # Python's own counts lines of the compiled code
        return error.lineno
    frames = traceback.walk_tb(error.__traceback__)
    at = [line for frame, line in frames if frame.f_code.co_filename == "<template>"]
    return at[-1] if at else None
