"""The standard streams as a console writes to them: apart from what libraries print."""

from __future__ import annotations

import io
import os
from typing import TextIO

from rich.console import Console as Rich


class Page(Rich):
    """What results are printed on."""

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
