"""The console: prints results on stdout, and everything else on stderr."""

from __future__ import annotations

import contextlib
import logging
import math
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from rich.text import Text

from builder.durations import duration
from builder.errors import PersonaError
from builder.escapes import escape, write_json
from builder.progress import Place, Progress, Sample
from builder.terminal import chatter, events
from builder.terminal.bars import Bar
from builder.terminal.screens import (
    Page,
    Screen,
    clear_sizes,
    duplicate,
    explaining_refusals,
    find_size,
)

NAME_WIDTH = 10
MIDDLE_WIDTH = 16
# If no bar can be drawn, how often a line of progress is printed at most.
LINE_EVERY_S = 10.0
# How often a progress event is written at most.
EVENT_EVERY_S = 0.2
SHOWN_PROBLEMS = 20
# A problem that begins with this is a detail of the one before it.
DETAIL = "  "
Detail = Literal["quiet", "normal", "verbose"]
"""How much is shown: errors and the result, the build too, or what libraries print too."""


class Console(logging.Handler):
    """Draws stages, progress and errors on stderr, and prints results on stdout.

    Args:
        line_every_s: Seconds between two lines of progress, if there is no terminal.

    """

    def __init__(self, line_every_s: float = LINE_EVERY_S) -> None:
        super().__init__()
        self.line_every_s = line_every_s
        clear_sizes()
        out, err = duplicate(sys.stdout, 1), duplicate(sys.stderr, 2)
        self._own = [file for file in (out, err) if file not in (sys.stdout, sys.stderr)]
        self.screen = Screen(file=err, highlight=False, soft_wrap=True)
        width, height = find_size(out)
        self.page = Page(file=out, highlight=False, soft_wrap=True, width=width, height=height)
        # With FORCE_COLOR rich treats a file as a terminal, but a bar in a file is of no use.
        self.can_draw = self.screen.is_interactive and err.isatty()
        self.detail: Detail = "normal"
        self.persona, self.stage = "", "check"
        self._stream: events.Stream | None = None
        self._bar: Bar | None = None
        self._line_at_s, self._event_at_s = time.monotonic(), -math.inf
        self._losses: list[float] = []
        self._deferred: list[str] | None = None

    def print_events(self) -> None:
        """Print events as lines of JSON, without a bar."""
        self._stream = events.Stream(self.page.file)
        self.can_draw = False

    @property
    def prints_events(self) -> bool:
        """Whether events are printed."""
        return self._stream is not None

    def tell(self, event: events.Event) -> None:
        """Print an event, if events are printed."""
        if self._stream:
            self._stream.write(event)

    def close(self) -> None:
        """Close this console's own descriptors."""
        self.pause()
        for file in self._own:
            with contextlib.suppress(OSError):
                file.close()
        super().close()

    def result(self, text: str, end: str = "\n") -> None:
        """Print a result on stdout, unchanged.

        Raises:
            BrokenPipeError: The reader has closed the pipe.
            ToolError: It cannot be written.

        """
        self.pause()
        with explaining_refusals():
            print(text, end=end, file=self.page.file, flush=True)

    def print_json(self, value: Any) -> None:
        """Print a result as one line of JSON."""
        self.result(write_json(value, getattr(self.page.file, "encoding", None)))

    def line(self, name: str, middle: str = "", end: str = "", style: str = "") -> None:
        """Print one line of the build."""
        if self.detail != "quiet":
            self.screen.print(_align(name, middle, end, style))

    def verdict(self, name: str, told: str, summary: str) -> None:
        """Print as a result why a stage would run, or that it is fresh."""
        self.pause()
        self.page.print(
            _align(name, told, "", "yellow") if told else _align(name, "fresh", summary, "dim")
        )

    def began(self, stages: Sequence[str], forecast: str, forecast_s: float | None) -> None:
        """Show which stages will run, and the forecast."""
        self.pause()
        if forecast:
            self.notes([forecast])
        self.tell(
            events.BuildStarted(name=self.persona, stages=tuple(stages), forecast_s=forecast_s)
        )

    def started(
        self, name: str, reasons: list[str], words: str = "", place: Place | None = None
    ) -> None:
        """Show that a stage starts, what it does, and why."""
        self.pause()
        why, place = "; ".join(reasons), place or Place()
        self.line(name, f"{words}: {why}" if words else why, style="yellow")
        self.tell(
            events.StageStarted(
                name=self.persona,
                stage=name,
                words=words,
                reasons=tuple(reasons),
                number=place.number,
                count=place.count,
            )
        )
        self.stage, self._line_at_s = name, time.monotonic()
        self._bar = self._make_bar(place)
        self._bar.advance(Progress(words, 0, 0, ""))

    def done(self, name: str, took_s: float, summary: str) -> None:
        """Show that a stage is done."""
        self.pause()
        self.line(name, f"done in {duration(took_s)}", summary, style="green")
        took_s = round(took_s, 1)
        self.tell(events.StageDone(name=self.persona, stage=name, summary=summary, took_s=took_s))

    def fresh(self, name: str, summary: str) -> None:
        """Show that a stage is fresh."""
        self.pause()
        self.line(name, "fresh", summary, style="dim")
        self.tell(events.StageFresh(name=self.persona, stage=name, summary=summary))

    def skipped(self, name: str, why: str) -> None:
        """Show that a stage cannot run on this machine."""
        self.pause()
        self.line(name, "skipped", why, style="yellow")
        self.tell(events.StageSkipped(name=self.persona, stage=name, why=why))

    def notes(self, lines: Iterable[str]) -> None:
        """Print lines, with control characters escaped; nothing with --quiet."""
        if self.detail != "quiet":
            self.show(lines)

    def show(self, lines: Iterable[str]) -> None:
        """Print lines, with control characters escaped, also with --quiet."""
        for line in lines:
            self.screen.print(Text(escape(line)))

    @contextlib.contextmanager
    def following(self, log_path: Path) -> Iterator[None]:
        """Show what is written to a log inside the context, with --verbose."""
        if self.detail != "verbose":
            yield
            return
        with chatter.follow(log_path, self.show):
            yield

    def error(self, error: PersonaError) -> None:
        """Print at most twenty problems of an error, and its hint."""
        self.pause()
        mistakes = 0
        for problem in error.problems:
            mistakes += not (problem.startswith(DETAIL) and mistakes)
            if mistakes <= SHOWN_PROBLEMS:
                self.screen.print(Text.assemble(("error: ", "bold red"), escape(problem)))
        if mistakes > SHOWN_PROBLEMS:
            self.screen.print(Text(f"and {mistakes - SHOWN_PROBLEMS} more", "bold red"))
        if error.hint:
            self.screen.print(Text.assemble(("hint: ", "bold cyan"), escape(error.hint)))
        kind = type(error).__name__
        self.tell(
            events.BuildFailed(
                name=self.persona, error=kind, problems=tuple(error.problems), hint=error.hint
            )
        )

    def pause(self) -> None:
        """Remove the bar from the screen."""
        if self._bar:
            self._bar.stop()
        self._bar = None
        self._losses.clear()

    @contextlib.contextmanager
    def deferring(self) -> Iterator[None]:
        """Hold back messages inside the context, and print them as notes at its end."""
        self._deferred = []
        try:
            yield
        finally:
            deferred, self._deferred = self._deferred, None
            self.notes(deferred)

    def emit(self, record: logging.LogRecord) -> None:
        """Show a log record: progress as a bar, anything else as a line."""
        progress = getattr(record, "progress", None)
        if progress is None and self._deferred is not None:
            self._deferred.append(record.getMessage())
            return
        if progress is None:
            self.line(self.stage, text := record.getMessage())
            level = record.levelname.lower()
            self.tell(events.Message(name=self.persona, stage=self.stage, level=level, text=text))
            return
        if self._bar is None:  # progress of a check before any stage
            self._bar = self._make_bar(Place())
        self._advance(self._bar, progress)
        self._tell_progress(progress, is_new=progress.done == 0 or self._bar.is_over)
        if progress.training and progress.training.sample:
            self._tell_sample(self._bar, progress.training.sample)

    def _make_bar(self, place: Place) -> Bar:
        bar = Bar(self.screen, place)
        if self.can_draw and self.detail != "quiet":
            bar.start()
        return bar

    def _advance(self, bar: Bar, progress: Progress) -> None:
        """Move the bar, or print a line if there is none and the last one is long ago."""
        bar.advance(progress)
        now_s = time.monotonic()
        is_due = now_s - self._line_at_s >= self.line_every_s
        if not self.can_draw and not bar.is_over and is_due:
            self._line_at_s = now_s
            self.line(self.stage, bar.describe(self.stage), style="dim")

    def _tell_sample(self, bar: Bar, sample: Sample) -> None:
        """Print an answer of the model while it trains."""
        if self.detail != "quiet":
            answer = sample.answer + ("" if sample.ended else " ...")
            self.screen.print(bar.draw_sample(escape(sample.question, ""), escape(answer, "")))
        step, steps = bar.progress.done, bar.progress.total
        self.tell(
            events.Sample(
                name=self.persona, stage=self.stage, step=step, steps=steps, **vars(sample)
            )
        )

    def _tell_progress(self, progress: Progress, *, is_new: bool) -> None:
        """Print a progress event, or keep its losses for the next one if the last is recent."""
        if not self._stream:
            return
        training, now_s = progress.training, time.monotonic()
        self._losses += training.losses if training else ()
        if not is_new and now_s - self._event_at_s < EVENT_EVERY_S:
            return
        self._event_at_s = now_s
        self.tell(
            events.StageProgress(
                name=self.persona,
                stage=self.stage,
                what=progress.what,
                done=progress.done,
                total=progress.total,
                unit=progress.unit,
                losses=tuple(self._losses),
                epoch=training.epoch if training else None,
                epochs=training.epochs if training else None,
                tokens_per_s=training.tokens_per_s if training else None,
            )
        )
        self._losses.clear()


def _align(name: str, middle: str, end: str, style: str) -> Text:
    name, middle, end = map(escape, (name, middle, end))
    text = Text(f"{name:<{NAME_WIDTH}}", "bold")
    text.append(f"{middle:<{MIDDLE_WIDTH}} " if end else middle, style)
    text.append(end)
    return text
