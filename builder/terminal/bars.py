"""The progress bar of a running stage, with the time left and the state of training."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from rich import progress as rich_progress
from rich.cells import cell_len
from rich.table import Column
from rich.text import Text

from builder.durations import duration, roughly
from builder.progress import Place, Progress
from builder.terminal import sparkline
from builder.terminal.columns import ExpectedBar, TimeLeft, find_left_s

if TYPE_CHECKING:
    from rich.console import Console as Rich
    from rich.console import RenderableType

BAR_WIDTH = 24
# On narrower terminals only the name of the work and its count are drawn.
NARROW_WIDTH = 60
# The period that the time left is estimated from; a training step on a CPU can take 30 s.
ESTIMATE_FROM_S = 600.0


class Bar:
    """The bar of one stage.

    Args:
        screen: The console to draw it on.
        place: The position of the stage in the build.

    """

    def __init__(self, screen: Rich, place: Place) -> None:
        self.screen, self.place = screen, place
        self.losses: list[float] = []
        self.progress = Progress("", 0, 0, "")
        self.is_drawn = False
        self._began_s = time.monotonic()
        self._lines = _Lines(self)
        self._task = self._begin()

    def start(self) -> None:
        """Start drawing it."""
        self.is_drawn = True
        self._lines.start()

    def stop(self) -> None:
        """Remove it from the screen."""
        if self.is_drawn:  # otherwise it would leave a blank line
            self._lines.stop()

    def advance(self, progress: Progress) -> None:
        """Show new progress."""
        is_other = progress.what != self.progress.what or progress.done < self._task.completed
        self.progress = progress
        if progress.training:
            self.losses += filter(math.isfinite, progress.training.losses)
        if is_other:
            self._task = self._begin()
        self._lines.update(
            self._task.id,
            completed=progress.done,
            total=progress.total or None,
            count=self.count,
        )

    @property
    def count(self) -> str:
        """What is done, and of how much."""
        progress = self.progress
        return f"{progress.done}/{progress.total} {progress.unit}" if progress.total else ""

    @property
    def is_over(self) -> bool:
        """Whether everything that was counted is done."""
        return bool(self.progress.total) and self.progress.done >= self.progress.total

    def describe(self, stage: str) -> str:
        """Describe the progress in one line, for a log."""
        what = self.progress.what if self.progress.what != stage else ""
        first = f"{what} {self.count}".strip()
        left_s = self._find_left_s()
        left = [f"{duration(left_s)} left"] if left_s else []
        in_all_s = self._find_left_in_all_s()
        in_all = [f"about {roughly(in_all_s)} in all left"] if in_all_s is not None else []
        return ", ".join([first, *self.tell_training(has_sparkline=False), *left, *in_all])

    def tell_place(self) -> list[str]:
        """Describe the position of the stage, and the time left of the build."""
        place = self.place
        if place.count < 2:
            return []
        left_s = self._find_left_in_all_s()
        left = [f"about {roughly(left_s)} in all left"] if left_s is not None else []
        return [f"stage {place.number} of {place.count}", *left]

    def tell_training(self, *, has_sparkline: bool) -> list[str]:
        """Describe how the loss has changed, the epoch, and the speed."""
        training = self.progress.training
        if training is None:
            return []
        told = []
        if self.losses:
            means = sparkline.summarise(self.losses)
            arrow = "→" if self.can_write_symbols else "->"
            told = [f"loss {_shorten(means[0])}"]
            if len(means) > 1:
                told[0] += f" {arrow} {_shorten(means[-1])}"
                if has_sparkline and self.can_write_symbols:
                    told[0] += f" {sparkline.draw(means)}"
        told.append(f"epoch {training.epoch} of {training.epochs}")
        if training.tokens_per_s:
            told.append(f"{training.tokens_per_s:,.0f} tokens/s")
        return told

    def draw_sample(self, question: str, answer: str) -> Text:
        """Draw an answer of the model while it trains, on one line that fits the terminal.

        Args:
            question: The question, without control characters.
            answer: The answer, without control characters.

        """
        cut: Literal["ellipsis", "crop"] = "ellipsis" if self.can_write_symbols else "crop"
        arrow = "→" if self.can_write_symbols else "->"
        width, asked = self.screen.width - 1, Text(question)
        if self.screen.is_terminal:
            asked.truncate(width // 3, overflow=cut)  # leave room for the answer
        step = f"at step {self.progress.done} of {self.progress.total}"
        line = Text(f'  {step}: "{asked}" {arrow} "{answer}"', "dim")
        if self.screen.is_terminal:
            line.truncate(width, overflow=cut)
        return line

    @property
    def can_write_symbols(self) -> bool:
        """Whether the screen's encoding has arrows and blocks."""
        return self.screen.encoding.startswith("utf")

    def _begin(self) -> rich_progress.Task:
        """Begin another piece of work, with a new estimate of the time left."""
        for task in self._lines.tasks:
            self._lines.remove_task(task.id)
        self._lines.add_task(
            self.progress.what,
            total=self.progress.total or None,
            completed=self.progress.done,
            count=self.count,
            expected_s=self.place.steps_s.get(self.progress.what),
        )
        return self._lines.tasks[0]

    def _find_left_s(self) -> float | None:
        """Estimate the time left of the present piece of work."""
        return find_left_s(self._task)

    def _find_left_in_all_s(self) -> float | None:
        """Estimate the time left of the build; None if a later stage has no forecast."""
        later_s, expected_s = self.place.later_s, self.place.expected_s
        if later_s is None or expected_s is None:
            return None
        own_s = expected_s - (time.monotonic() - self._began_s)
        return max(own_s, self._find_left_s() or 0.0, 0.0) + later_s


def join_fitting(parts: Iterable[str], width: int) -> str:
    """Join as many parts as fit into a line."""
    line = ""
    for part in parts:
        longer = f"{line}, {part}" if line else part
        if cell_len(longer) > width:
            break
        line = longer
    return line


def _shorten(loss: float) -> str:
    return f"{loss:.1f}" if loss >= 1 else f"{loss:.2f}"


class _Lines(rich_progress.Progress):
    """The bar, with the position of its stage above and the state of training below."""

    def __init__(self, bar: Bar) -> None:
        self.bar = bar
        columns: list[rich_progress.ProgressColumn] = [
            rich_progress.SpinnerColumn(),
            rich_progress.TextColumn(
                "{task.description}", markup=False, table_column=Column(no_wrap=True)
            ),
            rich_progress.TextColumn(
                "{task.fields[count]}", markup=False, table_column=Column(no_wrap=True)
            ),
        ]
        if bar.screen.width >= NARROW_WIDTH:
            columns.insert(2, ExpectedBar(BAR_WIDTH))
            columns.append(TimeLeft(compact=True))
        super().__init__(
            *columns,
            console=bar.screen,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            speed_estimate_period=ESTIMATE_FROM_S,
        )

    def get_renderables(self) -> Iterable[RenderableType]:
        """Give the lines to draw."""
        if not self.bar.is_drawn:  # rich asks once while the bar is made
            return
        width = self.bar.screen.width - 1
        for parts in (self.bar.tell_place(), None, self.bar.tell_training(has_sparkline=True)):
            if parts is None:
                yield self.make_tasks_table(self.tasks)
            elif line := join_fitting(parts, width):
                yield Text(line, "dim", no_wrap=True)
