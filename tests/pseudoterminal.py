"""Python on a pseudo-terminal: what is typed there, and what is seen."""

import contextlib
import fcntl
import os
import pty
import re
import select
import struct
import termios
import time
from pathlib import Path

from tests.forks import start_python

ESCAPE_SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|\x1b\][^\x07]*\x07")
HIDDEN = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR")
WAIT_S = 120.0
# A session's leader that opens a terminal has it for its own, so that Ctrl-C reaches it.
# Tests that a script runs in its background ignore Ctrl-C; what a person starts does not.
TAKE_TERMINAL = """
import os, signal, sys
os.close(os.open(os.ttyname(0), os.O_RDWR))
signal.signal(signal.SIGINT, signal.default_int_handler)
"""
COMMAND = """
from builder.cli import main
sys.exit(main())
"""


class Terminal:
    """A terminal on which Python runs.

    Args:
        arguments: Of the command.
        code: What runs, if it is not the command.
        cwd: The folder that it runs in.
        columns: How wide the terminal is.
        environment: Variables beside those of the tests.

    """

    def __init__(self, *arguments, code=COMMAND, cwd, columns=100, **environment):
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        shown = {**dict.fromkeys(HIDDEN), "TERM": "xterm-256color", **environment}
        self._process = start_python(
            *("-c", TAKE_TERMINAL + code, *arguments),
            cwd=cwd,
            streams=[theirs] * 3,
            leads=True,
            **shown,
        )
        os.close(theirs)
        self.seen = ""
        self._looked_at = 0

    def type(self, text):
        """Type keys, as the characters that they send."""
        os.write(self._ours, text.encode())

    def wait_for(self, text):
        """Read until a text is there, after what was waited for before."""
        ends_s = time.monotonic() + WAIT_S
        while text not in self.text[self._looked_at :]:
            assert time.monotonic() < ends_s, f"no {text!r} in {self.text[self._looked_at :]!r}"
            assert self._read(), f"ended without {text!r}: {self.text!r}"
        self._looked_at = self.text.index(text, self._looked_at) + len(text)

    def end(self):
        """Read until the command ends; give its exit code."""
        while self._read():
            pass
        return self._process.wait(WAIT_S)

    @property
    def text(self):
        """What was seen, without colours and the like."""
        return ESCAPE_SEQUENCE.sub("", self.seen)

    @property
    def lines(self):
        """The lines that were seen, without blanks at their ends."""
        return [line.rstrip() for line in re.split(r"[\r\n]+", self.text) if line.strip()]

    def close(self):
        """End the command where a test failed."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(WAIT_S)
        with contextlib.suppress(OSError):
            os.close(self._ours)

    def _read(self):
        if not select.select([self._ours], [], [], WAIT_S)[0]:
            raise AssertionError(f"nothing more is seen: {self.text!r}")
        try:
            piece = os.read(self._ours, 65536)
        except OSError:  # Linux says so where the last writer has gone
            return False
        self.seen += piece.decode("utf-8", "replace")
        return bool(piece)


@contextlib.contextmanager
def opened(*arguments, **options):
    """Open a terminal, and close it at the end."""
    terminal = Terminal(*arguments, **options)
    try:
        yield terminal
    finally:
        terminal.close()


def draw(code, columns, **environment):
    """Run Python code on a terminal of so many columns; give what it wrote there."""
    with opened(code=code, cwd=Path.cwd(), columns=columns, **environment) as terminal:
        assert terminal.end() == 0, terminal.seen
        return terminal.seen


def frames_of(written):
    """Split what was written to a terminal into lines and frames of a bar, without colours."""
    return [line.strip() for line in re.split(r"[\r\n]+", ESCAPE_SEQUENCE.sub("", written))]


@contextlib.contextmanager
def typing(*lines):
    """Open a terminal on which lines are typed; give the descriptor to read them from."""
    ours, theirs = pty.openpty()
    try:
        os.write(ours, "".join(f"{line}\n" for line in lines).encode())
        yield theirs
    finally:
        os.close(theirs)
        os.close(ours)
