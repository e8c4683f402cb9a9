"""The worker processes of a build: the one in use, and the next, which imports meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from builder.engine.worker import Task, Worker


class Pool:
    """Runs tasks in the worker that each names; use it as a context manager.

    Only one worker runs tasks. Another one may wait with its imports done, so that the first
    stage of a worker need not wait for them.

    Args:
        logs: A folder for what the workers print as they start.

    """

    def __init__(self, logs: Path) -> None:
        self.logs = logs
        self._current: Worker | None = None
        self._next: Worker | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        for worker in filter(None, (self._current, self._next)):
            worker.close()
        self._current = self._next = None

    def prepare(self, module: str | None) -> None:
        """Start the worker that will be used next, unless it is the current one, or waits."""
        used = (worker.module for worker in (self._current, self._next) if worker)
        if module and module not in used:
            self._replace_next(self._start(module))

    def run(self, task: Task, module: str, *, next_module: str | None = None) -> str:
        """Run a task in the worker of a module; the worker of another module ends first.

        Args:
            task: The task.
            module: What its worker imports first.
            next_module: Likewise of the task after it, as far as is known: its worker starts now.

        Raises:
            PersonaError: What the stage raised; ToolError when the process died.

        """
        if self._current is None or self._current.module != module:
            if self._current:
                self._current.close()
            if self._next is None or self._next.module != module:
                self._replace_next(self._start(module))
            self._current, self._next = self._next, None
        assert self._current is not None  # noqa: S101 — for mypy
        self.prepare(next_module)
        return self._current.run(task)

    def _replace_next(self, worker: Worker) -> None:
        if self._next:
            self._next.close()
        self._next = worker

    def _start(self, module: str) -> Worker:
        return Worker(module, self.logs / f"start-{module.rpartition('.')[2]}.log")
