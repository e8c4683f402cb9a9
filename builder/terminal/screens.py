"""The standard streams as a console writes to them: apart from what libraries print."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
from collections.abc import Iterator
from typing import Any, TextIO

from rich.console import Console as Rich

from builder.errors import ToolError

# Where a table is not on a screen, its notes stay on one line.
PIPED_WIDTH = 240
# What TERM is where nothing can be drawn.
DUMB_TERMINALS = ("", "dumb", "unknown")


@contextlib.contextmanager
def explaining_refusals() -> Iterator[None]:
    """Say what the operating system refused of standard output.

    Raises:
        BrokenPipeError: The reader has gone.
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
    """What results are printed on."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print a result; what is raised is as of `explaining_refusals`."""
        with explaining_refusals():
            super().print(*objects, **options)

    def on_broken_pipe(self) -> None:
        """Let a reader that takes only the first lines (`| head`) go: rich would end with 1."""
        raise BrokenPipeError


class Screen(Rich):
    """What a build is shown on."""

    def on_broken_pipe(self) -> None:
        """Go on without a screen: a build does not end because nobody reads of it."""
        self.quiet = True


def duplicate(stream: TextIO | None, descriptor: int) -> TextIO:
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


def find_size(out: TextIO) -> tuple[int | None, int | None]:
    """Give columns and lines for results; None where rich finds them itself."""
    if not out.isatty():
        return PIPED_WIDTH, None
    if os.environ.get("TERM", "").lower() in DUMB_TERMINALS:
        # Which rich takes for 80 columns wide, whatever it is.
        return shutil.get_terminal_size()
    return None, None
