"""Worker processes: heavy stages run in one, so that memory is given back and a crash is a message.

Stages that name the same worker module share one process while they follow each other. It is
started early, and imports its module while lighter stages run in the main process.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import multiprocessing
import os
import re
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Self

from builder import errors, progress
from builder.command import command
from builder.engine.stage import Work

log = logging.getLogger("builder")
LOG_TAIL_LINES = 15
EXIT_WAIT_S = 10.0
# A step on a processor may take half of it.
STOP_WAIT_S = 60.0
# How safetensors (Rust) and torch.save (C++) say that the file system refused a write; neither
# raises an OSError.
REFUSED_WRITE = re.compile(
    r"I/O error: .+ \(os error \d+\)|PytorchStreamWriter failed writing.*|.*file write failed"
)

# How torch says that there is no memory, of the machine and of a GPU.
NO_MEMORY = re.compile(
    r"can't allocate memory|not enough memory|CUDA out of memory|CUDA error: out of memory"
)


@dataclass(frozen=True)
class Task:
    """One stage's run, as it is sent to a worker."""

    module: str
    """Has the function `run(inputs, work)`."""
    name: str
    inputs: Any
    work: Work
    log_path: Path
    """Where all that libraries print goes."""


class Worker:
    """A process that runs tasks one after another; use it as a context manager.

    Args:
        module: Imported as soon as the process starts.
        log_path: Where the import's chatter goes.

    """

    def __init__(self, module: str, log_path: Path) -> None:
        context = multiprocessing.get_context("spawn")
        self.module = module
        self._has_started = False
        """Whether it has said that it imported its module."""
        self._is_idle = False
        """Whether it has ended a task and was given no other."""
        self._is_running = False
        self._connection, theirs = context.Pipe()
        # The child watches this one alone: it ends with the parent, however that ends.
        watched, self._lifeline = context.Pipe(duplex=False)
        arguments = (module, theirs, watched, log_path)
        self._process = context.Process(target=_serve, args=arguments, daemon=False)
        with _holding_interrupts():
            self._process.start()
        theirs.close()
        watched.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def run(self, task: Task) -> str:
        """Run a task; its log records appear here.

        Returns:
            The line that the stage returns.

        Raises:
            PersonaError: What the stage raised; ToolError when the process died.

        """
        self._is_idle = False
        self._is_running = True
        try:
            self._connection.send(task)
            if not self._has_started and not self._connection.poll():
                progress.report("loads libraries")
            return self._listen(task)
        except (EOFError, BrokenPipeError, ConnectionResetError):
            self._process.join(EXIT_WAIT_S)
            problem = f"{task.name}: {_describe_death(self._process.exitcode)}"
            hint = f"the whole log is {task.log_path}"
            raise errors.ToolError(problem, *_read_tail(task.log_path), hint=hint) from None

    def _listen(self, task: Task) -> str:
        while True:
            kind, *rest = self._connection.recv()
            if kind == "started":
                self._has_started = True
                continue
            if kind == "log":
                level, message, record = rest
                log.log(level, "%s", message, extra={"progress": record})
                continue
            self._is_idle, self._is_running = True, False
            if kind == "done":
                return str(rest[0])
            if kind == "error":
                raise errors.rebuild(*rest)
            raise RuntimeError(f"{task.name}: {rest[0]}")

    def is_alive(self) -> bool:
        """Say whether the process still runs."""
        return self._process.is_alive()

    def close(self) -> None:
        """End the process, and wait until it has gone; a training makes a checkpoint first."""
        try:
            if self._is_running:
                self._ask_to_stop()
        finally:
            self._end()

    def _ask_to_stop(self) -> None:
        """Send SIGTERM, and listen to what the task says of it, until it ends or the process."""
        self._process.terminate()
        until_s = time.monotonic() + STOP_WAIT_S
        with contextlib.suppress(EOFError, OSError):
            while self._connection.poll(max(0.0, until_s - time.monotonic())):
                kind, *rest = self._connection.recv()
                if kind in ("started", "log"):
                    continue
                self._is_idle = True
                if kind == "error":
                    log.warning("%s", rest[1][0])
                return

    def _end(self) -> None:
        self._connection.close()
        if self._is_idle:  # it ends by itself, and removes its temporary files and semaphores
            self._process.join(EXIT_WAIT_S)
        self._lifeline.close()
        if self._process.is_alive():
            self._process.terminate()
        self._process.join(EXIT_WAIT_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


@contextlib.contextmanager
def _holding_interrupts() -> Iterator[None]:
    """Hold Ctrl-C back meanwhile: a child that is just starting would print a traceback of it.

    It inherits that, and the parent answers Ctrl-C for both.
    """
    # Python's resource tracker starts with the first child, and lets Ctrl-C through again once it
    # runs (CPython 3.11, multiprocessing/resource_tracker.py): before the child has started.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _describe_death(code: int | None) -> str:
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        causes = {
            "SIGKILL": ", most often for want of memory",
            "SIGILL": ", compiled for another processor",
        }
        cause = causes.get(name, "")
        return f"the process was ended by {name}{cause}, expected it to finish"
    return f"the process ended with {code} and said nothing, expected it to finish"


def _read_tail(path: Path) -> list[str]:
    lines = path.read_text("utf-8", errors="replace").splitlines() if path.exists() else []
    return [f"  {line}" for line in lines[-LOG_TAIL_LINES:]]


class _Forward(logging.Handler):
    """Sends log records to the parent."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self.connection = connection

    def emit(self, record: logging.LogRecord) -> None:
        made = getattr(record, "progress", None)
        self.connection.send(("log", record.levelno, record.getMessage(), made))


def _serve(module: str, connection: Connection, watched: Connection, log_path: Path) -> None:
    """Run tasks until the parent closes the connection."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent answers Ctrl-C for both
    threading.Thread(target=_end_with_parent, args=(watched,), daemon=True).start()
    _redirect(log_path)
    try:
        importlib.import_module(module)
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


def _run(task: Task) -> tuple[Any, ...]:
    """Run a task, and give what is sent to the parent."""
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
    """Tell a want of room or memory, as libraries say it, from a bug."""
    text = str(error)
    if refused := REFUSED_WRITE.search(text):
        problem = f"{out}: a file beside it could not be written ({refused[0]}), expected room"
        hint = f"free some disk: `{command('clean')}` says what each build takes"
        return "error", "ToolError", [problem], hint
    if isinstance(error, MemoryError) or NO_MEMORY.search(text):
        problem = f"{out.name}: this machine has no memory left for it, expected some"
        hint = "end other programs, lower training.batch_size, or take a smaller base"
        return "error", "ToolError", [problem], hint
    return "bug", traceback.format_exc()


def _redirect(path: Path) -> None:
    """Send all that this process prints from now on to a file."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)


def _end_with_parent(watched: Connection) -> None:
    # Nothing is ever sent: the only thing that arrives is the end of the parent.
    try:
        watched.recv()
    except (EOFError, OSError):
        os._exit(1)
