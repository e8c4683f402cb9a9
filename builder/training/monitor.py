"""Reports the progress of training on a GPU: to the bar, to a tracker, and with samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from builder import progress
from builder.progress import Sample, Training
from builder.training import rates
from builder.training.plan import Plan
from builder.training.samples import Samples
from builder.training.settings import Settings
from builder.training.speed import TRAINS, Speed
from builder.training.tracking import Tracker


class Monitor:
    """Reports the progress of a training.

    Args:
        plan: The steps.
        settings: The settings.
        tracker: Logs losses and learning rates.
        samples: Asks the model a question now and then.

    """

    def __init__(
        self,
        plan: Plan,
        settings: Settings,
        tracker: Tracker | None = None,
        samples: Samples | None = None,
    ) -> None:
        self._plan, self._settings = plan, settings
        self._speed, self._tracker, self._samples = Speed(), tracker or Tracker(None), samples

    def resume(self, losses: Sequence[float]) -> None:
        """Report the steps before an interruption."""
        self._report(len(losses), losses)

    def tell(self, model: Any, done: int, losses: Sequence[float]) -> None:
        """Report the last steps, and ask the model if a sample is due.

        Args:
            model: The model after these steps.
            done: Steps done so far.
            losses: The losses since the last report.

        """
        plan = self._plan
        self._speed.add(plan.count_tokens(done - len(losses), done))
        sample = self._samples.take(model, done, len(plan)) if self._samples else None
        self._report(done, losses, sample)
        self._tracker.log(done, losses, self._list_rates(done, len(losses)))

    def _list_rates(self, done: int, count: int) -> list[float]:
        """List the learning rates of the A matrices in the last steps."""
        warmup, steps = self._settings.warmup_steps, len(self._plan)
        factors = (rates.find_factor(at, warmup, steps) for at in range(done - count, done))
        return [self._settings.learning_rate * factor for factor in factors]

    def _report(self, done: int, losses: Sequence[float], sample: Sample | None = None) -> None:
        planned, epochs = len(self._plan), max(1, math.ceil(self._plan.epochs))
        training = Training(
            losses=tuple(losses),
            epoch=min(epochs, max(1, math.ceil(self._plan.epochs * done / planned))),
            epochs=epochs,
            tokens_per_s=self._speed.per_s,
            sample=sample,
        )
        progress.report(TRAINS, done, planned, "steps", training)
