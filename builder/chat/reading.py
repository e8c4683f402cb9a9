"""What a person types in a conversation: with an editor and a memory where there is a terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from builder import files
from builder.terminal.console import Console
from builder.terminal.screens import DUMB_TERMINALS

PROMPT, MORE = ">>> ", "... "
QUOTES = '"""'
LEAVE = "Ctrl-D or /bye ends the conversation"


@dataclass(frozen=True)
class Typed:
    """One thing that a person typed; in triple quotes it may have several lines."""

    text: str
    is_command: bool


class Lines(Protocol):
    """Where lines come from."""

    is_terminal: bool
    """Whether a person sits there, who can be told something."""
    is_blank: bool
    """Whether nothing was typed when Ctrl-C was."""

    def read(self, prompt: str) -> str:
        """Read a line.

        Raises:
            EOFError: There is none any more.
            KeyboardInterrupt: Ctrl-C was typed.

        """
        ...


class PlainLines:
    """Lines of standard input as they come: a pipe, or a terminal that cannot be drawn on."""

    is_blank = True

    def __init__(self) -> None:
        self.is_terminal = sys.stdin.isatty()

    def read(self, prompt: str) -> str:
        """Read a line; on a terminal ask for it on stderr.

        Raises:
            EOFError: There is none any more.

        """
        if self.is_terminal:
            sys.stderr.write(prompt)
            sys.stderr.flush()
        # Its bytes, where there are any: a locale without UTF-8 is no reason to refuse UTF-8.
        raw = getattr(sys.stdin, "buffer", None)
        try:
            line = raw.readline().decode("utf-8", "replace") if raw else sys.stdin.readline()
        except KeyboardInterrupt:
            sys.stderr.write("\n" * self.is_terminal)  # after the terminal's own ^C
            raise
        if not line:
            raise EOFError
        return str(line)


def open_lines(console: Console) -> Lines:
    """Edit lines where standard input and output are a terminal; else take them as they come."""
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
    """Give what a person types, until they leave; Ctrl-C takes a line back."""
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
    """Read one line, or several in triple quotes; a command may hold them at its end."""
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
