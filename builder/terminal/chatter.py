"""Redirects what libraries print in this process to a log file, away from the screen."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

FOLLOW_EVERY_S = 0.2


@contextmanager
def divert(path: Path) -> Iterator[None]:
    """Redirect stdout and stderr of this process to a file, also for C and Rust libraries.

    A `Console` made before still writes to the screen, through its own descriptors.
    """
    with path.open("w") as log:
        saved = [os.dup(descriptor) for descriptor in (1, 2)]
        _flush()
        try:
            for descriptor in (1, 2):
                os.dup2(log.fileno(), descriptor)
            yield
        finally:
            _flush()
            for descriptor, original in zip((1, 2), saved, strict=True):
                os.dup2(original, descriptor)
                os.close(original)


@contextmanager
def follow(path: Path, show: Callable[[list[str]], None]) -> Iterator[None]:
    """Show each line that is written to a log file inside the context, in a thread.

    Args:
        path: The file, which is emptied first.
        show: Called with complete lines, without line ends.

    """
    path.write_bytes(b"")
    is_over = threading.Event()
    thread = threading.Thread(target=_follow, args=(path, show, is_over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def _follow(path: Path, show: Callable[[list[str]], None], is_over: threading.Event) -> None:
    waiting = b""
    with path.open("rb") as log:
        while True:
            is_last = is_over.wait(FOLLOW_EVERY_S)
            *lines, waiting = (waiting + log.read()).split(b"\n")
            if is_last and waiting:
                lines.append(waiting)
            if lines:
                show([line.decode("utf-8", "replace").rstrip("\r") for line in lines])
            if is_last:
                return


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            with suppress(OSError):
                stream.flush()
