"""The lock of a build's folder, so that one process at a time builds or deletes it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from builder import files
from builder.errors import ToolError

LOCK = ".lock"
# `read_lock` holds the lock for microseconds: a build tries again instead of giving up.
TRIES, PAUSE_S = 20, 0.01


@dataclass(frozen=True)
class Lock:
    """The last holder of a build's lock, and whether it still holds it."""

    text: str
    """The number of the process, and a random text that tells two locks by one process apart."""
    is_held: bool

    @property
    def process(self) -> str:
        """The number of the last process to hold it."""
        return self.text.split(" ")[0] or "unknown"


def read_lock(folder: Path) -> Lock:
    """Read a build's lock, without writing."""
    try:
        _check(folder / LOCK)
        with (folder / LOCK).open(encoding="utf-8", errors="replace") as file:
            text = file.read()
            return Lock(text, is_held=not _take(file, fcntl.LOCK_SH))
    except FileNotFoundError:
        return Lock("", is_held=False)


def delete(folder: Path, *, kept: str | None = None) -> None:
    """Delete a build's folder, the lock last; this process holds the lock.

    If another process takes the lock just before the folder is removed, the folder stays. It also
    stays if it holds the file to keep.
    """
    for path in folder.iterdir():
        if path.name not in {LOCK, kept}:
            files.remove(path)
    (folder / LOCK).unlink()
    with contextlib.suppress(OSError):
        folder.rmdir()


def clear(root: Path) -> None:
    """Remove the folders of builds that hold nothing, as a killed `clean` leaves, if possible."""
    with contextlib.suppress(OSError):
        for folder in list(root.iterdir()):
            if folder.is_symlink() or not folder.is_dir():
                continue
            with contextlib.suppress(OSError, ToolError):
                if _is_empty(folder) and not read_lock(folder).is_held:
                    with locked(folder):
                        if _is_empty(folder):
                            delete(folder)


def _is_empty(folder: Path) -> bool:
    return all(path.name == LOCK for path in folder.iterdir())


def _check(path: Path) -> None:
    """Check that the lock is a regular file: opening a pipe would wait for ever."""
    try:
        files.check_file(path)
    except ValueError as error:
        raise ToolError(f"{error}: the lock of a build", hint=f"delete {path}") from None


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a build's lock inside the context.

    Raises:
        ToolError: Another process holds it, or the folder is a link.

    """
    if folder.is_symlink():
        msg = f"{folder}: is a link, expected a folder of this project"
        raise ToolError(msg, hint=f"rm {folder}")
    with _open_taken(folder) as file:
        file.seek(0)
        file.write(f"{os.getpid()} {secrets.token_hex(8)}")
        file.truncate()  # after writing, so that a reader always finds a process
        file.flush()
        yield


def _open_taken(folder: Path) -> IO[str]:
    """Open and lock the file; try again if another process deleted it meanwhile."""
    path = folder / LOCK
    for attempt in range(TRIES):
        time.sleep(PAUSE_S if attempt else 0)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if os.path.lexists(path):
                _check(path)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        except FileNotFoundError:  # the folder, or the lock in it, was deleted in between
            continue
        except FileExistsError:
            if os.path.lexists(folder) and not folder.is_dir():
                raise
            continue
        file = os.fdopen(descriptor, "r+", encoding="utf-8")
        if not _take(file, fcntl.LOCK_EX, TRIES):
            file.close()
            process = read_lock(folder).process
            msg = f"{folder}: is being built by process {process}, expected no other process there"
            raise ToolError(msg, hint="wait for it, or end it")
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_ino == os.fstat(file.fileno()).st_ino:
                return file
        file.close()
    msg = f"{folder}: is deleted again and again by another process, expected it to stay"
    raise ToolError(msg, hint="end the other one")


def _take(file: IO[str], kind: int, tries: int = 1) -> bool:
    for left in reversed(range(tries)):
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(PAUSE_S if left else 0)
        else:
            return True
    return False
