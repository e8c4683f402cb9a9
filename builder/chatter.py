"""Sends what libraries print in this process to a log file, so that the screen shows the build."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def divert(path: Path) -> Iterator[None]:
    """Send stdout and stderr of this process to a file, those of C and Rust libraries too.

    A `Console` made before keeps the screen: it writes to descriptors of its own.
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


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            with suppress(OSError):
                stream.flush()
