"""Every line a person sees; all of it on stderr, the result alone on stdout."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import shutil
import sys
import time
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any, TextIO, cast

from rich import progress as rich_progress
from rich.console import Console as Rich
from rich.table import Column
from rich.text import Text

from builder.errors import PersonaError, ToolError
from builder.progress import Progress

BAR_WIDTH = 24
# Below this many columns only the name of the work and its count are drawn.
NARROW_WIDTH = 60
NAME_WIDTH = 10
MIDDLE_WIDTH = 16
# Where a table is not on a screen, its notes stay on one line.
PIPED_WIDTH = 240
# Where no bar can be drawn, a line is printed at most so often.
LINE_EVERY_S = 10.0
# What TERM is where nothing can be drawn.
DUMB_TERMINALS = ("", "dumb", "unknown")
# Seconds of the past from which the time left is estimated; a step on a processor may take 30.
ESTIMATE_FROM_S = 600.0
SHOWN_PROBLEMS = 20
# A problem that begins so is a detail of the one before it.
DETAIL = "  "
BIDIRECTIONAL = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)


def escape(text: str, keep: str = "\t") -> str:
    r"""Write control characters as escapes, so that text from outside cannot move or forge a line.

    Args:
        text: The text, which may hold newlines, terminal sequences or lone surrogates.
        keep: Control characters that stay as they are.

    """
    return "".join(
        character.encode("unicode_escape").decode()
        if character not in keep
        and (
            unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
            or character in BIDIRECTIONAL
        )
        else character
        for character in text
    )


@contextlib.contextmanager
def _writing() -> Iterator[None]:
    """Say what the operating system refused of standard output."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        msg = f"standard output: {error.strerror}, expected to write the result there"
        raise ToolError(msg) from error


class _Page(Rich):
    def print(self, *objects: Any, **options: Any) -> None:
        """Print as rich does.

        Raises:
            BrokenPipeError: The reader has gone.
            ToolError: It cannot be written.

        """
        with _writing():
            super().print(*objects, **options)

    def on_broken_pipe(self) -> None:
        """Let a reader that takes only the first lines (`| head`) go: rich would end with 1."""
        raise BrokenPipeError

    def print(self, *objects: Any, **options: Any) -> None:
        """Print a result; BrokenPipeError and ToolError are as of `Console.result`."""
        with _writing():
            super().print(*objects, **options)


class _Screen(Rich):
    def on_broken_pipe(self) -> None:
        """Go on without a screen: a build does not end because nobody reads of it."""
        self.quiet = True


class Console(logging.Handler):
    """Draws stages, progress and errors on stderr, and prints results on stdout.

    Args:
        line_every_s: Seconds between two lines of progress, where there is no terminal.

    """

    def __init__(self, line_every_s: float = LINE_EVERY_S) -> None:
        super().__init__()
        self.line_every_s = line_every_s
        out, err = _duplicate(sys.stdout, 1), _duplicate(sys.stderr, 2)
        self._own = [file for file in (out, err) if file not in (sys.stdout, sys.stderr)]
        self.screen = _Screen(file=err, highlight=False, soft_wrap=True)
        width, height = _find_size(out)
        self.page = _Page(file=out, highlight=False, soft_wrap=True, width=width, height=height)
        # FORCE_COLOR makes rich take a file for a terminal; a bar in a file is no use to anybody.
        self.can_draw = self.screen.is_interactive and err.isatty()
        self.stage = "check"
        self._bar: rich_progress.Progress | None = None
        self._task: rich_progress.Task | None = None
        self._line_at_s = 0.0

    def close(self) -> None:
        """Close the descriptors that this console made for itself."""
        self.pause()
        for file in self._own:
            with contextlib.suppress(OSError):
                file.close()
        super().close()

    def result(self, text: str, end: str = "\n") -> None:
        """Print a result on stdout, as it is.

        Raises:
            BrokenPipeError: The reader has gone.
            ToolError: It cannot be written.

        """
        with _writing():
            print(text, end=end, file=self.page.file, flush=True)

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
        self.pause()
        self.line(name, "; ".join(reasons), style="yellow")
        self.stage, self._line_at_s = name, time.monotonic()
        self._bar = _make_bar(self.screen)
        self._task = None
        if self.can_draw:
            self._begin(Progress("", 0, 0, ""))
            self._bar.start()

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
        """Print lines, each on a line of its own whatever it holds."""
        for line in lines:
            self.screen.print(Text(escape(line)))

    def error(self, error: PersonaError) -> None:
        """Print what is wrong, at most twenty mistakes of it, and what to do."""
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

    def pause(self) -> None:
        """Take the bar off the screen."""
        if self._bar and self.can_draw:  # where it was never drawn, it would leave a blank line
            self._bar.stop()
        self._bar = self._task = None

    def emit(self, record: logging.LogRecord) -> None:
        """Draw a stage's record: progress as a bar, the rest as a line."""
        progress = getattr(record, "progress", None)
        if progress is None:
            self.line(self.stage, record.getMessage())
        elif self._bar:
            self._advance(self._bar, progress)

    def _advance(self, bar: rich_progress.Progress, progress: Progress) -> None:
        """Move the bar, or print a line where there is none and the last is long ago."""
        task = self._task
        if task is None or task.description != progress.what or progress.done < task.completed:
            task = self._begin(progress)
        bar.update(task.id, completed=progress.done, total=progress.total, count=_count(progress))
        is_over = progress.total and progress.done >= progress.total
        now_s = time.monotonic()
        if not self.can_draw and not is_over and now_s - self._line_at_s >= self.line_every_s:
            self._line_at_s = now_s
            what = progress.what if progress.what != self.stage else ""
            left = f", {duration(task.time_remaining)} left" if task.time_remaining else ""
            self.line(self.stage, f"{what} {_count(progress)}{left}".strip(), style="dim")

    def _begin(self, progress: Progress) -> rich_progress.Task:
        """Begin another piece of work, whose time left is estimated from its own beginning."""
        bar = cast("rich_progress.Progress", self._bar)
        for task in bar.tasks:
            bar.remove_task(task.id)
        bar.add_task(
            progress.what,
            total=progress.total or None,
            completed=progress.done,
            count=_count(progress),
        )
        self._task = bar.tasks[0]
        return self._task


def _find_size(out: TextIO) -> tuple[int | None, int | None]:
    """Give columns and lines for results; None where rich finds them itself."""
    if not out.isatty():
        return PIPED_WIDTH, None
    if os.environ.get("TERM", "").lower() in DUMB_TERMINALS:
        # Which rich takes for 80 columns wide, whatever it is.
        return shutil.get_terminal_size()
    return None, None


def _make_bar(screen: Rich) -> rich_progress.Progress:
    columns: list[rich_progress.ProgressColumn] = [
        rich_progress.SpinnerColumn(),
        rich_progress.TextColumn(
            "{task.description}", markup=False, table_column=Column(no_wrap=True)
        ),
        rich_progress.TextColumn(
            "{task.fields[count]}", markup=False, table_column=Column(no_wrap=True)
        ),
    ]
    if screen.width >= NARROW_WIDTH:
        columns.insert(2, rich_progress.BarColumn(BAR_WIDTH))
        columns.append(rich_progress.TimeRemainingColumn(compact=True))
    return rich_progress.Progress(
        *columns,
        console=screen,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
        speed_estimate_period=ESTIMATE_FROM_S,
    )


@contextlib.contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        msg = f"standard output: {error.strerror}, expected to write the result there"
        raise ToolError(msg) from error


def _count(progress: Progress) -> str:
    return f"{progress.done}/{progress.total} {progress.unit}" if progress.total else ""


def _duplicate(stream: TextIO | None, descriptor: int) -> TextIO:
    """Open a standard stream's descriptor again, so that it stays where libraries are diverted.

    A stream that stands for another file, as in a test, is taken as it is.
    """
    if stream is None:
        return io.StringIO()
    try:
        if stream.fileno() != descriptor:
            return stream
    except (OSError, ValueError):
        return stream
    # What the terminal's encoding lacks is written as an escape, not raised.
    return os.fdopen(
        os.dup(descriptor), "w", 1, encoding=stream.encoding, errors="backslashreplace"
    )


def _align(name: str, middle: str, end: str, style: str) -> Text:
    name, middle, end = map(escape, (name, middle, end))
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
