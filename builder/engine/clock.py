"""How long a build takes: forecast, measured as it runs, and recorded for the next forecast."""

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
    """Measures one stage, from its beginning.

    Args:
        spans: Measures its pieces of work.

    """

    def __init__(self, spans: Spans) -> None:
        self._began_s, self._spans = time.monotonic(), spans
        self.spans: tuple[Span, ...] = ()
        self.took_s = 0.0
        self.is_resumed = False
        """Whether it resumes an interrupted attempt."""

    @property
    def elapsed_s(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._began_s

    def end_work(self) -> None:
        """End the last piece of work."""
        self.spans = self._spans.take()


class Clock:
    """Forecasts the stages of a build, and records how long each takes.

    Args:
        steps: The stages that will run, in order.
        workload: What decides how long they take; without it nothing is forecast or recorded.

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
        """Show the forecast."""
        line = self.forecast.describe() if self._workload else ""
        console.began(list(self._steps), line, self.forecast.total_s)

    @contextlib.contextmanager
    def timing(self, stage: str, words: str) -> Iterator[Timing]:
        """Measure a stage, and record how long it took."""
        with Spans(words) as spans:
            timing = Timing(spans)
            try:
                yield timing
            except GateError:  # all of the work is done
                timing.end_work()
                self._note(stage, timing)
                raise
        self._note(stage, timing)

    def _note(self, stage: str, timing: Timing) -> None:
        timing.took_s = timing.elapsed_s
        if self._workload and stage in self._steps and not timing.is_resumed:
            forecast.note(self._steps[stage], self._workload, timing.took_s, timing.spans)
