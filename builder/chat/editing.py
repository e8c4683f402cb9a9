"""Reads lines at a terminal, with editing and a history across conversations."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.history import FileHistory
from prompt_toolkit.output.vt100 import Vt100_Output

from builder import files

# If the history is larger than this, half of it is dropped.
MOST_HISTORY_BYTES = 1 << 20
# The beginning of a record in prompt_toolkit's history.
RECORD = b"\n# "


class EditedLines:
    """Lines of a terminal, with editing.

    Args:
        history: The file of the history, which other users cannot read.

    """

    is_terminal = True
    is_blank = True

    def __init__(self, history: Path) -> None:
        _prepare(history)
        output = Vt100_Output.from_pty(sys.stdout, os.environ.get("TERM"))
        output.enable_cpr = False  # not every terminal reports the position of its cursor
        self._session: PromptSession[str] = PromptSession(history=_History(history), output=output)

    def read(self, prompt: str) -> str:
        """Read a line.

        Raises:
            EOFError: Ctrl-D was typed.
            KeyboardInterrupt: Ctrl-C was typed.

        """
        try:
            text = self._session.prompt(prompt)
        except KeyboardInterrupt:
            self.is_blank = not self._session.default_buffer.text
            raise
        # Bytes that are not UTF-8 arrive as lone surrogates.
        return text.encode("utf-8", "replace").decode()


class _History(FileHistory):
    """A history file; conversations also work without it."""

    def load_history_strings(self) -> Iterable[str]:
        """Read the lines, the newest first."""
        try:
            return list(super().load_history_strings())
        except OSError:
            return []

    def store_string(self, string: str) -> None:
        """Add a line."""
        with suppress(OSError, UnicodeError):
            super().store_string(string)


def _prepare(path: Path) -> None:
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_APPEND, 0o600))
        if path.stat().st_size > MOST_HISTORY_BYTES:
            kept = path.read_bytes()[-MOST_HISTORY_BYTES // 2 :]
            with files.replacing(path) as temporary:
                temporary.touch(0o600)
                temporary.write_bytes(kept[max(0, kept.find(RECORD)) :])
