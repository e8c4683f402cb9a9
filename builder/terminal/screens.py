"""The standard streams of a console, which are not redirected with what libraries print."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
from collections.abc import Iterator
from typing import Any, TextIO

from rich.console import Console as Rich

from builder.errors import ToolError

# The value of COLUMNS or LINES; int reads no number of thousands of digits.
NUMBER = re.compile(r"[0-9]{1,9}")
# In a file or pipe, long notes of a table stay on one line.
PIPED_WIDTH = 240
# Values of TERM for terminals that cannot draw.
DUMB_TERMINALS = ("", "dumb", "unknown")


@contextlib.contextmanager
def explaining_refusals() -> Iterator[None]:
    """Turn errors of writing to standard output into sentences.

    Raises:
        BrokenPipeError: The reader has closed the pipe.
        ToolError: It cannot be written.

    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        msg = f"standard output: {error.strerror}, expected to write the result there"
        raise ToolError(msg) from error


class Page(Rich):
    """The console for results."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print a result; it raises what `explaining_refusals` raises."""
        with explaining_refusals():
            super().print(*objects, **options)

    def on_broken_pipe(self) -> None:
        """Raise an error if the reader closes the pipe, as `head` does; rich would exit with 1."""
        raise BrokenPipeError


class Screen(Rich):
    """The console for progress."""

    def on_broken_pipe(self) -> None:
        """Continue without output: a build does not end because nobody reads it."""
        self.quiet = True


def duplicate(stream: TextIO | None, descriptor: int) -> TextIO:
    """Duplicate the descriptor of a standard stream, so that redirections do not affect it.

    A stream of another file, as in a test, is returned unchanged.
    """
    if stream is None:
        return io.StringIO()
    try:
        if stream.fileno() != descriptor:
            return stream
    except (OSError, ValueError):
        return stream
    # Characters that the terminal's encoding lacks are written as escapes.
    return os.fdopen(
        os.dup(descriptor), "w", 1, encoding=stream.encoding, errors="backslashreplace"
    )


def clear_sizes() -> None:
    """Remove sizes of the terminal that are no numbers, on which rich would fail, such as `²`."""
    for name in ("COLUMNS", "LINES"):
        if not NUMBER.fullmatch(os.environ.get(name, "")):
            os.environ.pop(name, None)


def find_size(out: TextIO) -> tuple[int | None, int | None]:
    """Find the columns and lines for results; None if rich finds them itself."""
    if not out.isatty():
        return PIPED_WIDTH, None
    if os.environ.get("TERM", "").lower() in DUMB_TERMINALS:
        # rich would assume 80 columns.
        return shutil.get_terminal_size()
    return None, None
