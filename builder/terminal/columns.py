"""Columns of a bar for work that cannot be counted: they use the time it took before."""

from __future__ import annotations

import math

from rich import progress as rich_progress
from rich.progress_bar import ProgressBar
from rich.text import Text


def find_left_s(task: rich_progress.Task) -> float | None:
    """Estimate the time left of a task by its speed, or by the time it took before."""
    if task.total is not None:
        return task.time_remaining
    expected_s = task.fields["expected_s"]
    return None if expected_s is None else max(0.0, expected_s - (task.elapsed or 0.0))


class ExpectedBar(rich_progress.BarColumn):
    """A bar; if nothing can be counted, by the time that the same work took before."""

    def render(self, task: rich_progress.Task) -> ProgressBar:
        """Draw the bar of a task."""
        expected_s = task.fields["expected_s"]
        if task.total is not None or not expected_s:
            return super().render(task)
        done_s = min(task.elapsed or 0.0, 0.99 * expected_s)
        return ProgressBar(total=expected_s, completed=done_s, width=self.bar_width)


class TimeLeft(rich_progress.TimeRemainingColumn):
    """The time left; if nothing can be counted, by the time that the same work took before."""

    def render(self, task: rich_progress.Task) -> Text:
        """Write the time left of a task."""
        left_s = find_left_s(task) if task.total is None else None
        if not left_s:
            return super().render(task)
        minutes, seconds = divmod(math.ceil(left_s), 60)
        return Text(f"{minutes:02}:{seconds:02}", style="progress.remaining")
