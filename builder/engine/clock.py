"""The times of a build: foretold before it, measured as it runs, and noted for the next one."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence

from builder.engine import forecast
from builder.engine.forecast import Forecast, Step, Workload
from builder.engine.spans import Span, Spans
from builder.errors import GateError
from builder.terminal.console import Console


class Timing:
    """The time of one stage, from its beginning.

    Args:
        spans: Notes its pieces of work.

    """

    def __init__(self, spans: Spans) -> None:
        self._began_s, self._spans = time.monotonic(), spans
        self.spans: tuple[Span, ...] = ()
        self.took_s = 0.0
        self.is_resumed = False
        """Whether it goes on where an earlier try was cut short."""

    @property
    def elapsed_s(self) -> float:
        """Seconds until now."""
        return time.monotonic() - self._began_s

    def end_work(self) -> None:
        """End the last piece of work."""
        self.spans = self._spans.take()


class Clock:
    """Foretells a build's stages, and notes what each took.

    Args:
        steps: The stages that will run, in order.
        workload: What decides how long they take; None foretells and notes nothing.

    """

    def __init__(self, steps: Sequence[Step], workload: Workload | None) -> None:
        self._steps = {step.stage: step for step in steps}
        self._workload = workload
        self.forecast = (
            forecast.foretell(steps, workload)
            if workload
            else Forecast(stages={step.stage: None for step in steps})
        )

    def tell(self, console: Console) -> None:
        """Tell the forecast."""
        line = self.forecast.describe() if self._workload else ""
        console.began(list(self._steps), line, self.forecast.total_s)

    @contextlib.contextmanager
    def timing(self, stage: str, words: str) -> Iterator[Timing]:
        """Measure a stage, and note what it took."""
        with Spans(words) as spans:
            timing = Timing(spans)
            try:
                yield timing
            except GateError:  # which is raised when all of the work is done
                timing.end_work()
                self._note(stage, timing)
                raise
        self._note(stage, timing)

    def _note(self, stage: str, timing: Timing) -> None:
        timing.took_s = timing.elapsed_s
        if self._workload and stage in self._steps and not timing.is_resumed:
            forecast.note(self._steps[stage], self._workload, timing.took_s, timing.spans)
