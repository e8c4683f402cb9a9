"""Tells of another training on this machine: two at once take far longer than one by one."""

from __future__ import annotations

import contextlib
import fcntl
import logging
from collections.abc import Iterator

from builder import files
from builder.machine import Machine

log = logging.getLogger("builder")
WORDS = (
    "another build is training on this machine: two at once can take many times as long as one "
    "after the other; Ctrl-C ends this one, and the same command goes on from there"
)


@contextlib.contextmanager
def telling(machine: Machine) -> Iterator[None]:
    """Warn if another build of this user trains on the CPU as the context begins."""
    with contextlib.ExitStack() as stack:
        # A cache that cannot be written tells nothing.
        with contextlib.suppress(OSError):
            if machine.kind == "cpu" and not _take(stack):
                log.warning("%s", WORDS)
        yield


def _take(stack: contextlib.ExitStack) -> bool:
    """Hold the lock of trainings until the stack ends; return whether it was free."""
    path = files.cache_folder() / "training.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    file = stack.enter_context(path.open("w"))
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
