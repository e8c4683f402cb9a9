"""Reads files as UTF-8, writes files atomically, and locates the user's cache folder."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from builder import temporaries
from builder.errors import ToolError

# Answers of the embedded base, so that a first build does not need to ask for them; CONTRIBUTING
# says how to renew them.
BUNDLED = Path(__file__).parent / "bundled"
# The largest file that is read.
MOST_BYTES = 1 << 30
# A number of more digits is larger than any float.
MOST_DIGITS = 300
# The built-in template: beside this file in a wheel, or at the top level of the repository.
TEMPLATE = "Modelfile.j2"
TEMPLATES = [folder / TEMPLATE for folder in (Path(__file__).parent, Path(__file__).parent.parent)]


def find_template(root: Path) -> Path:
    """Find the Modelfile.j2 of a project, or else the built-in one."""
    own = root / TEMPLATE
    if os.path.lexists(own):
        return own
    return next((path for path in TEMPLATES if path.is_file()), own)


def cache_folder() -> Path:
    """Give the user's cache folder, which all personas share."""
    return Path(os.environ.get("XDG_CACHE_HOME") or expand_home("~/.cache")) / "persona"


def expand_home(text: str | Path) -> Path:
    """Expand ~ or ~user at the beginning of a path.

    Raises:
        ToolError: There is no such user, or the home folder is not known.

    """
    try:
        return Path(text).expanduser()
    except RuntimeError:
        user = Path(text).parts[0]
        msg = f"{text}: {user} is not a user of this machine, expected a folder"
        raise ToolError(msg, hint="write the whole path, or set HOME") from None


def read_text(path: Path, most_bytes: int = MOST_BYTES) -> str:
    """Read UTF-8, with or without a byte-order mark.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It cannot be read, or is not UTF-8; the message says where.

    """
    raw = _read_bytes(path, most_bytes)
    # The name that spreadsheets use.
    kind = ' ("CSV UTF-8" in a spreadsheet)' if path.suffix.lower() in (".csv", ".tsv") else ""
    if raw.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")):
        raise ValueError(f"{path}:1: is UTF-32, expected UTF-8{kind}")
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ValueError(f"{path}:1: is UTF-16, expected UTF-8{kind}")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ValueError(
            f"{path}:{line}: byte {raw[error.start]:#x} is not UTF-8, expected UTF-8{kind}"
        ) from None


def _read_bytes(path: Path, most_bytes: int) -> bytes:
    size_bytes = check_file(path)
    if size_bytes > most_bytes:
        msg = f"{path}: is {size_bytes >> 20:,} MiB, expected at most {most_bytes >> 20:,}"
        raise ValueError(msg)
    try:
        return path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}, expected to read it") from None


def check_file(path: Path) -> int:
    """Check that a path is a regular file: opening a pipe or a device may wait for ever.

    Returns:
        Its size in bytes.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is something else, or cannot be read; the message says so.

    """
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(error.errno, error.strerror, str(path)) from None
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}, expected to read it") from None
    except ValueError:  # Python's message does not name the path
        raise ValueError(f"{str(path)!r}: holds a null character, expected a path") from None
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe, a socket or a device"
        raise ValueError(f"{path}: is {kind}, expected a file")
    return status.st_size


def read_cached(folder: str, name: str) -> Any:
    """Read JSON from the user's cache, or else from the bundled files; None if neither has it."""
    cached = read_json(cache_folder() / folder / name)
    return read_json(BUNDLED / folder / name) if cached is None else cached


def write_cached(path: Path, value: Any) -> None:
    """Write JSON to a cache, if possible."""
    with suppress(OSError):
        if path.is_relative_to(cache_folder()):
            with waiting_for(path):
                write_json(path, value)
        else:
            write_json(path, value)


def read_json(path: Path) -> Any:
    """Read JSON; None if there is no file, or it is damaged."""
    try:
        check_file(path)
        return json.loads(path.read_text("utf-8"), parse_int=_read_number)
    except (OSError, ValueError, RecursionError):
        return None


def _read_number(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise ValueError("is a number that nothing here writes")
    return int(digits)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path to write to, and move it into place once it is on disk.

    Raises:
        OSError: It always names the path.

    """
    try:
        with temporaries.held(path) as folder:
            temporary = folder / path.name
            yield temporary
            sync(temporary)
            temporary.replace(path)
            sync(path.parent)
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


@contextmanager
def waiting_for(path: Path) -> Iterator[None]:
    """Let one process at a time make a file or folder of the cache.

    Temporary files of a killed process are removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f".{path.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        temporaries.clear(path.parent, path.name)
        yield


def sync(path: Path) -> None:
    """Flush a file, or the entries of a folder, to disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically."""
    text = json.dumps(value, indent=1, ensure_ascii=False, sort_keys=True)
    with replacing(path) as temporary:
        temporary.write_text(text + "\n", "utf-8")


def move(source: Path, target: Path) -> None:
    """Move a finished file into place atomically, also from another file system."""
    with replacing(target) as temporary:
        shutil.move(source, temporary)


def remove(path: Path) -> None:
    """Remove a file, a link or a folder, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def sha256(path: Path) -> str:
    """Hash a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
