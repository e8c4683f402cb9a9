"""Lines typed at a terminal: edited with its keys, and remembered by the next conversation."""

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

# Half of what is remembered is dropped where it has grown longer.
MOST_HISTORY_BYTES = 1 << 20
# How prompt_toolkit begins a line's record.
RECORD = b"\n# "


class EditedLines:
    """Lines of a terminal.

    Args:
        history: The file that remembers them, which nobody else may read.

    """

    is_terminal = True
    is_blank = True

    def __init__(self, history: Path) -> None:
        _prepare(history)
        output = Vt100_Output.from_pty(sys.stdout, os.environ.get("TERM"))
        output.enable_cpr = False  # not every terminal answers where its cursor is
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
        # What the terminal sent that is no UTF-8 comes as halves of surrogate pairs.
        return text.encode("utf-8", "replace").decode()


class _History(FileHistory):
    """A file of lines; without it a conversation goes on as well."""

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
