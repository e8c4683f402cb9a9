"""Temporary folders beside what is written, which the next process clears after a kill.

A folder is locked with flock by the process that made it while that lives. What nobody holds is
nobody's. No process number is compared, as those repeat in containers.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SUFFIX = ".tmp"
PATTERN = re.compile(r"\.(.+)\.[0-9a-f]{8}" + re.escape(SUFFIX))
TRIES = 20


@contextmanager
def held(path: Path) -> Iterator[Path]:
    """Give a new temporary folder beside a path, and remove it in the end.

    What killed processes left for the same path is cleared first.

    Raises:
        OSError: It cannot be made.

    """
    path.parent.mkdir(parents=True, exist_ok=True)
    clear(path.parent, path.name)
    folder, handle = _make(path)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


def clear(folder: Path, name: str = "*") -> None:
    """Remove what no living process holds, for one path or all paths of a folder, if possible."""
    with suppress(OSError):
        for path in list(folder.iterdir()):
            if (found := PATTERN.fullmatch(path.name)) and name in ("*", found[1]):
                with suppress(OSError):
                    _remove_unheld(path)


def _make(path: Path) -> tuple[Path, int]:
    """Make and lock a folder; again if another process cleared it before it was locked."""
    for _ in range(TRIES):
        folder = path.with_name(f".{path.name}.{secrets.token_hex(4)}{SUFFIX}")
        folder.mkdir()
        try:
            handle = _open(folder)
        except FileNotFoundError:
            continue
        except OSError:
            with suppress(OSError):
                folder.rmdir()
            raise
        # A file system without flock refuses; there the folder is not cleared by others either.
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_SH)
        if folder.exists():
            return folder, handle
        os.close(handle)
    raise FileNotFoundError(2, "is removed again and again", str(path))


def _remove_unheld(path: Path) -> None:
    handle = _open(path)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    finally:
        os.close(handle)


def _open(path: Path) -> int:
    """Open a folder or a file to lock it; opening a pipe must not wait."""
    return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
