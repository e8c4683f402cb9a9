"""Every line a person sees; all of it on stderr, the result alone on stdout."""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections.abc import Iterable
from typing import Any

from rich.console import Console as Rich
from rich.markup import escape
from rich.text import Text

from builder.errors import PersonaError
from builder.progress import Progress

BAR_WIDTH = 24
NAME_WIDTH = 10
MIDDLE_WIDTH = 16
# Where a table is not on a screen, its notes stay on one line.
PIPED_WIDTH = 240
# An estimate of what is over at once is noise.
ESTIMATE_AFTER_S = 2.0
# Where no bar can be drawn, a log say, a line so often tells that it goes on.
LINE_EVERY_S = 60.0


class _Page(Rich):
    def on_broken_pipe(self) -> None:
        """Let whoever reads only the first lines (`| head`) do so: rich would end with 1."""
        with contextlib.suppress(SystemExit):
            super().on_broken_pipe()
        raise BrokenPipeError


class Console(logging.Handler):
    """Draws stages, progress and errors on the screen, and prints results on a page of their own, stdout.

    Args:
        line_every_s: Seconds between two lines of progress, where there is no terminal.

    """

    def __init__(self, line_every_s: float = LINE_EVERY_S) -> None:
        super().__init__()
        self.line_every_s = line_every_s
        self.screen = Rich(stderr=True, highlight=False, soft_wrap=True)
        self.page = _Page(
            highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else PIPED_WIDTH
        )
        self.status: Any = None
        self.stage = ""
        self.began: tuple[str, float, int] = ("", 0.0, 0)
        self.told_s = 0.0

    def line(self, name: str, middle: str = "", end: str = "", style: str = "") -> None:
        """Print one line of the build."""
        self.screen.print(_align(name, middle, end, style))

    def verdict(self, name: str, reasons: list[str], summary: str) -> None:
        """Print whether a stage would run, and why, as a result."""
        self.page.print(
            _align(name, "; ".join(reasons), "", "yellow")
            if reasons
            else _align(name, "fresh", summary, "dim")
        )

    def started(self, name: str, reasons: list[str]) -> None:
        """Say that a stage runs, and why."""
        self.line(name, "; ".join(reasons), style="yellow")
        self.stage, self.began, self.told_s = name, ("", 0.0, 0), time.monotonic()
        self.status = self.screen.status("", spinner="dots") if self.screen.is_terminal else None
        if self.status:
            self.status.start()

    def done(self, name: str, took_s: float, summary: str) -> None:
        """Say that a stage is done."""
        self.pause()
        self.line(name, f"done in {duration(took_s)}", summary, style="green")

    def fresh(self, name: str, summary: str) -> None:
        """Say that a stage had nothing to do."""
        self.line(name, "fresh", summary, style="dim")

    def skipped(self, name: str, why: str) -> None:
        """Say that a stage cannot run here."""
        self.line(name, "skipped", why, style="yellow")

    def notes(self, lines: Iterable[str]) -> None:
        """Print lines as they are."""
        for line in lines:
            self.screen.print(Text(line))

    def error(self, error: PersonaError) -> None:
        """Print what is wrong, and what to do."""
        self.pause()
        for problem in error.problems:
            self.screen.print(Text.assemble(("error: ", "bold red"), problem))
        if error.hint:
            self.screen.print(Text.assemble(("hint: ", "bold cyan"), error.hint))

    def pause(self) -> None:
        """Take the bar off the screen."""
        if self.status:
            self.status.stop()
            self.status = None

    def emit(self, record: logging.LogRecord) -> None:
        """Draw a stage's record: progress as a bar, the rest as a line."""
        progress = getattr(record, "progress", None)
        if progress is None:
            self.line(self.stage, record.getMessage())
            return
        told = self._tell(progress)
        if self.status:
            filled = BAR_WIDTH * progress.done // progress.total if progress.total else 0
            bar = (
                f"{progress.what:<9} {'━' * filled}{'─' * (BAR_WIDTH - filled)} {told}"
                if told
                else progress.what
            )
            self.status.update(escape(bar))
        elif time.monotonic() - self.told_s >= self.line_every_s and (
            progress.done < progress.total or not progress.total
        ):
            self.told_s = time.monotonic()
            what = progress.what if progress.what != self.stage else ""
            self.line(self.stage, f"{what} {told}".strip(), style="dim")

    def _tell(self, progress: Progress) -> str:
        """Write how far a piece of work is, and how long it will take; nothing where it cannot be counted."""
        now_s = time.monotonic()
        if self.began[0] != progress.what or progress.done < self.began[2]:
            self.began = (progress.what, now_s, progress.done)
        if not progress.total:
            return ""
        told = f"{progress.done}/{progress.total} {progress.unit}"
        took_s, gone = now_s - self.began[1], progress.done - self.began[2]
        left_s = took_s / gone * (progress.total - progress.done) if gone else 0
        return f"{told}, {duration(left_s)} left" if took_s > ESTIMATE_AFTER_S and gone else told


def _align(name: str, middle: str, end: str, style: str) -> Text:
    text = Text(f"{name:<{NAME_WIDTH}}", "bold")
    text.append(f"{middle:<{MIDDLE_WIDTH}} " if end else middle, style)
    text.append(end)
    return text


def duration(seconds: float) -> str:
    """Write a duration as a person would: 4s, 2m48s, 1h02m."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02}m"
