"""Reads the user's input in a conversation, with editing and a history at a terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from builder import files
from builder.errors import ToolError
from builder.terminal.console import Console
from builder.terminal.screens import DUMB_TERMINALS

PROMPT, MORE = ">>> ", "... "
QUOTES = '"""'
LEAVE = "Ctrl-D or /bye ends the conversation"


@dataclass(frozen=True)
class Typed:
    """An input of the user, which may have several lines in triple quotes."""

    text: str
    is_command: bool


class Lines(Protocol):
    """A source of lines."""

    is_terminal: bool
    """Whether it is a terminal, so that messages can be shown."""
    is_blank: bool
    """Whether the line was empty at Ctrl-C."""

    def read(self, prompt: str) -> str:
        """Read a line.

        Raises:
            EOFError: There are no more lines.
            KeyboardInterrupt: Ctrl-C was typed.

        """
        ...


class PlainLines:
    """Lines of standard input without editing: of a pipe, or of a terminal that cannot draw."""

    is_blank = True

    def __init__(self) -> None:
        self.is_terminal = sys.stdin.isatty()

    def read(self, prompt: str) -> str:
        """Read a line; at a terminal, write the prompt to stderr.

        Raises:
            EOFError: There are no more lines.

        """
        if self.is_terminal:
            sys.stderr.write(prompt)
            sys.stderr.flush()
        # Read as bytes if possible, to accept UTF-8 in any locale.
        raw = getattr(sys.stdin, "buffer", None)
        try:
            line = raw.readline().decode("utf-8", "replace") if raw else sys.stdin.readline()
        except KeyboardInterrupt:
            sys.stderr.write("\n" * self.is_terminal)  # after the terminal's own ^C
            raise
        except OSError as error:
            msg = f"standard input: {error.strerror}, expected to read questions there"
            raise ToolError(msg) from None
        if not line:
            raise EOFError
        return str(line)


def open_lines(console: Console) -> Lines:
    """Open lines with editing if standard input and output are a terminal, or else without."""
    can_edit = (
        sys.stdin.isatty()
        and console.page.file.isatty()
        and os.environ.get("TERM", "").lower() not in DUMB_TERMINALS
    )
    if not can_edit:
        return PlainLines()
    from builder.chat.editing import EditedLines  # noqa: PLC0415 — takes a fifth of a second

    return EditedLines(files.cache_folder() / "chat-history")


def listen(lines: Lines, console: Console) -> Iterator[Typed]:
    """Yield the user's inputs until the end; Ctrl-C discards a line."""
    while True:
        try:
            typed = _read(lines)
        except EOFError as end:
            console.notes(str(part) for part in end.args)
            return
        except KeyboardInterrupt:
            if not lines.is_terminal:
                raise
            console.notes([LEAVE] if lines.is_blank else [])
        else:
            if typed.text:
                yield typed


def _read(lines: Lines) -> Typed:
    """Read one line, or several in triple quotes, which may be at the end of a command."""
    line = lines.read(PROMPT).strip()
    before, quotes, text = line.partition(QUOTES)
    is_command = line.startswith("/")
    if not quotes or (before and not is_command):
        return Typed(line, is_command)
    while not text.rstrip().endswith(QUOTES):
        try:
            text += "\n" + lines.read(MORE).rstrip("\r\n")
        except EOFError:
            msg = f"the text that begins with {QUOTES} has no end, and was not sent"
            raise EOFError(msg) from None
    return Typed(before + text.rstrip().removesuffix(QUOTES).strip(), is_command)
