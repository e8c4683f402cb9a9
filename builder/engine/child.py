"""The loop of a worker process: it imports its module, and runs the tasks it is sent."""

from __future__ import annotations

import contextlib
import gc
import importlib
import logging
import os
import re
import signal
import sys
import threading
import traceback
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from builder import errors
from builder.command import command
from builder.engine.stage import Work

log = logging.getLogger("builder")
# The messages of safetensors (Rust) and torch.save (C++) for a failed write: neither raises an
# OSError.
REFUSED_WRITE = re.compile(
    r"I/O error: .+ \(os error \d+\)|PytorchStreamWriter failed writing.*|.*file write failed"
)
# torch's messages when the machine or the GPU is out of memory.
NO_MEMORY = re.compile(
    r"can't allocate memory|not enough memory|CUDA out of memory|CUDA error: out of memory"
)


@dataclass(frozen=True)
class Task:
    """The run of a stage, as it is sent to a worker."""

    module: str
    """The module that has the function `run(inputs, work)`."""
    name: str
    inputs: object
    work: Work
    log_path: Path
    """Receives everything that libraries print."""


class _Forward(logging.Handler):
    """Sends log records to the parent."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self.connection = connection

    def emit(self, record: logging.LogRecord) -> None:
        made = getattr(record, "progress", None)
        self.connection.send(("log", record.levelno, record.getMessage(), made))


def serve(module: str, connection: Connection, watched: Connection, log_path: Path) -> None:
    """Run tasks until the parent closes the connection."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent answers Ctrl-C for both
    threading.Thread(target=_end_with_parent, args=(watched,), daemon=True).start()
    _redirect(log_path)
    try:
        _import(module)
    except Exception as error:  # noqa: BLE001 — the parent reports what is a bug
        traceback.print_exc()
        connection.send(_explain(error, Path(f"the import of {module}")))
        with contextlib.suppress(EOFError, OSError):
            connection.recv()  # the task that it answers
        return
    log.addHandler(_Forward(connection))
    log.setLevel(logging.INFO)
    log.propagate = False
    connection.send(("started",))
    while True:
        try:
            task: Task = connection.recv()
        except (EOFError, OSError):
            return
        _redirect(task.log_path)
        connection.send(_run(task))


def _import(module: str) -> None:
    """Import a module, and exclude the objects that there are then from garbage collection.

    There are hundreds of thousands of them, and they live as long as the process: looking through
    them takes a fifth of Unsloth's import, half a second whenever a library calls `gc.collect`,
    and most of the time that the process takes to end.
    """
    gc.disable()
    try:
        importlib.import_module(module)
    finally:
        gc.enable()
    gc.freeze()


def _run(task: Task) -> tuple[Any, ...]:
    """Run a task, and return the message for the parent."""
    out = task.work.out
    try:
        return "done", importlib.import_module(task.module).run(task.inputs, task.work)
    except errors.PersonaError as error:
        return "error", type(error).__name__, list(error.problems), error.hint
    except OSError as error:
        refusal = errors.describe_refusal(error, out)
        return "error", "ToolError", list(refusal.problems), refusal.hint
    except Exception as error:  # noqa: BLE001 — the parent reports what is a bug
        return _explain(error, out)


def _explain(error: Exception, out: Path) -> tuple[Any, ...]:
    """Recognise a full disk or memory by the library's message; anything else is a bug."""
    text = str(error)
    if refused := REFUSED_WRITE.search(text):
        problem = f"{out}: a file beside it could not be written ({refused[0]}), expected room"
        hint = f"free some disk: `{command('clean')}` says what each build takes"
        return "error", "ToolError", [problem], hint
    if isinstance(error, MemoryError) or NO_MEMORY.search(text):
        problem = f"{out.name}: this machine ran out of memory, expected enough for it"
        hint = "end other programs, lower training.batch_size, or take a smaller base"
        return "error", "ToolError", [problem], hint
    return "bug", traceback.format_exc()


def _redirect(path: Path) -> None:
    """Send everything that this process prints from now on to a file."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)


def _end_with_parent(watched: Connection) -> None:
    # Nothing is ever sent: reading ends when the parent does.
    try:
        watched.recv()
    except (EOFError, OSError):
        os._exit(1)
