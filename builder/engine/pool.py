"""Worker processes: the one in use, the next, which imports meanwhile, and those that are kept."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Self

from builder.engine.child import Task
from builder.engine.worker import Worker


class Pool:
    """Runs tasks in the worker that each names; use it as a context manager.

    Only one worker runs tasks. Another one may wait with its imports done, so that the first
    stage of a worker need not wait for them.

    Args:
        keeps: The modules whose worker stays, with what it has loaded, when another one's turn
            comes: a further build uses it again.

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
        """Start the worker that will be used next, unless it is there already.

        Args:
            module: What it imports first; None is no worker.
            logs: A folder for what it prints as it starts.

        """
        there = {worker.module for worker in (self._current, self._next) if worker}
        if module and module not in there | self._kept.keys():
            self._replace_next(self._start(module, logs))

    def run(self, task: Task, module: str, *, next_module: str | None = None) -> str:
        """Run a task in the worker of a module.

        The worker of another module ends first, or is kept. What starts prints beside the task's
        log.

        Args:
            task: The task.
            module: What its worker imports first.
            next_module: Likewise of the task after it, as far as is known: its worker starts now.

        Raises:
            PersonaError: What the stage raised; ToolError when the process died.

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
