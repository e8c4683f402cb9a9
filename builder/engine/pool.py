"""A pool of worker processes: the current one, the next one, and those kept for later builds."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Self

from builder.engine.child import Task
from builder.engine.worker import Worker


class Pool:
    """Runs tasks in worker processes; use it as a context manager.

    One worker runs tasks at a time. Meanwhile the next one can be started, so that its imports are
    done when its first stage begins.

    Args:
        keeps: Modules whose worker is kept, with all that it has loaded, for a later build.

    """

    def __init__(self, keeps: Collection[str] = ()) -> None:
        self._keeps = keeps
        self._current: Worker | None = None
        self._next: Worker | None = None
        self._kept: dict[str, Worker] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        for worker in filter(None, (self._current, self._next, *self._kept.values())):
            worker.close()
        self._current = self._next = None
        self._kept.clear()

    def prepare(self, module: str | None, logs: Path) -> None:
        """Start the next worker, unless it exists already.

        Args:
            module: The module that it imports first; None starts none.
            logs: The folder for its log.

        """
        there = {worker.module for worker in (self._current, self._next) if worker}
        if module and module not in there | self._kept.keys():
            self._replace_next(self._start(module, logs))

    def run(self, task: Task, module: str, *, next_module: str | None = None) -> str:
        """Run a task in the worker of a module.

        The current worker ends first, or is kept, if it is of another module.

        Args:
            task: The task.
            module: The module that its worker imports first.
            next_module: The module of the next task, if known: its worker is started now.

        Raises:
            PersonaError: What the stage raised, or a ToolError if the process died.

        """
        logs = task.log_path.parent
        if self._current and not (self._current.module == module and self._current.is_alive()):
            self._put_away(self._current)
            self._current = None
        if self._current is None:
            self._current = self._take(module, logs)
        self.prepare(next_module, logs)
        return self._current.run(task)

    def _put_away(self, worker: Worker) -> None:
        if worker.module in self._keeps and worker.is_alive():
            self._kept[worker.module] = worker
        else:
            worker.close()

    def _take(self, module: str, logs: Path) -> Worker:
        kept = self._kept.pop(module, None)
        if kept and kept.is_alive():
            return kept
        worker = self._next
        if worker is None or worker.module != module:
            worker = self._replace_next(self._start(module, logs))
        self._next = None
        return worker

    def _replace_next(self, worker: Worker) -> Worker:
        if self._next:
            self._next.close()
        self._next = worker
        return worker

    @staticmethod
    def _start(module: str, logs: Path) -> Worker:
        return Worker(module, logs / f"start-{module.rpartition('.')[2]}.log")
