"""Modelfile.j2 rendered under limits of time, memory and size, in a process of its own.

Jinja's sandbox limits none of the three: a loop in a loop, or one product, takes hours or all of
the memory, and the second cannot be interrupted from within.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
CODE = """
import sys
sys.path.insert(0, sys.argv[1])
from builder.ollama import sandbox
sandbox.serve()
"""
# The project's own template takes some milliseconds, 60 MiB and as many characters as it is given.
MOST_CPU_S = 3
MOST_MEMORY_BYTES = 1 << 30
MOST_CHARACTERS = 16 << 20
# By the clock, where the machine is busy.
MOST_WAIT_S = 120


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


def render(source: str, values: list[dict[str, Any]]) -> list[str]:
    """Render a template with one set of values after another.

    Raises:
        RenderingError: It cannot be rendered within the limits.

    """
    request = {
        "source": source,
        "values": values,
        "most_cpu_s": MOST_CPU_S,
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
        raise RenderingError(f"takes more than {MOST_WAIT_S} s") from None
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        raise RenderingError(_describe_death(done)) from None
    if "message" in answer:
        raise RenderingError(answer["message"], answer["line"])
    return [str(text) for text in answer["texts"]]


def _describe_death(done: subprocess.CompletedProcess[bytes]) -> str:
    if -done.returncode in (signal.SIGXCPU, signal.SIGKILL):
        return f"takes more than {MOST_CPU_S} s to render"
    last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
    return f"its rendering ended with {done.returncode} ({last[:200]})"
