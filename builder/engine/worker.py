"""A worker process. Heavy stages run in one, which frees their memory and survives their crashes.

Consecutive stages with the same worker module share a process. It is started early, and imports
its module while lighter stages run in the main process.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import signal
import time
from collections.abc import Iterator
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Self

from builder import errors, progress
from builder.engine import child
from builder.engine.child import Task

log = logging.getLogger("builder")
LOG_TAIL_LINES = 15
EXIT_WAIT_S = 10.0
# A training step on a CPU can take half of it.
STOP_WAIT_S = 60.0


class Worker:
    """A process that runs one task after the other; use it as a context manager.

    Args:
        module: The module that it imports as it starts.
        log_path: The log of that import.

    """

    def __init__(self, module: str, log_path: Path) -> None:
        context = multiprocessing.get_context("spawn")
        self.module = module
        self._has_started = False
        """Whether it has imported its module."""
        self._is_idle = False
        """Whether it has finished a task, and runs no other."""
        self._is_running = False
        self._connection, theirs = context.Pipe()
        # Only the child reads this pipe: it ends when the parent ends, in whatever way.
        watched, self._lifeline = context.Pipe(duplex=False)
        arguments = (module, theirs, watched, log_path)
        self._process = context.Process(target=child.serve, args=arguments, daemon=False)
        with _holding_interrupts():
            self._process.start()
        theirs.close()
        watched.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def run(self, task: Task) -> str:
        """Run a task, and pass its log records on to this process's log.

        Returns:
            The line that the stage returns.

        Raises:
            PersonaError: What the stage raised, or a ToolError if the process died.

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
            # Ctrl-C raises here, with nothing read: half a message would leave the rest behind.
            self._connection.poll(None)
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
        """Say whether the process is running."""
        return self._process.is_alive()

    def close(self) -> None:
        """End the process and wait for it; a training writes a checkpoint first."""
        try:
            if self._is_running:
                self._ask_to_stop()
        finally:
            self._end()

    def _ask_to_stop(self) -> None:
        """Send SIGTERM, and wait for the task's answer or the end of the process."""
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
        if self._is_idle:  # it ends by itself, and removes its temporary files
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
    """Block Ctrl-C, which would print a traceback in a child that is just starting.

    The child inherits the block; the parent handles Ctrl-C for both.
    """
    # Python starts its resource tracker with the first child, and unblocks Ctrl-C as it does so,
    # before the child has started (CPython 3.11, multiprocessing/resource_tracker.py).
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
            "SIGILL": ", compiled for another CPU",
        }
        cause = causes.get(name, "")
        return f"the process was ended by {name}{cause}, expected it to finish"
    return f"the process ended with {code} and said nothing, expected it to finish"


def _read_tail(path: Path) -> list[str]:
    lines = path.read_text("utf-8", errors="replace").splitlines() if path.exists() else []
    return [f"  {line}" for line in lines[-LOG_TAIL_LINES:]]
