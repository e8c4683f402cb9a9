"""Reads files as UTF-8, writes them whole or not at all, and names the user's cache folder."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

# The embedded base's own answers, so that a first build on a laptop need not ask for them;
# CONTRIBUTING says how they are renewed.
PREPARED = Path(__file__).parent / "prepared"
# The built-in template: beside this file in a wheel, at the top level of the repository.
TEMPLATE = "Modelfile.j2"
TEMPLATES = [folder / TEMPLATE for folder in (Path(__file__).parent, Path(__file__).parent.parent)]


def find_template(root: Path) -> Path:
    """Find the template of a project: its own Modelfile.j2, or else the built-in one."""
    own = root / TEMPLATE
    if os.path.lexists(own):
        return own
    return next((path for path in TEMPLATES if path.is_file()), own)


def cache_folder() -> Path:
    """Give the user's cache folder for everything that personas share."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "persona"


def read_text(path: Path) -> str:
    """Read UTF-8, with a byte-order mark or without.

    Raises:
        ValueError: It is something else; the sentence says where.

    """
    raw = path.read_bytes()
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ValueError(f"{path}:1: is UTF-16, expected UTF-8")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ValueError(
            f"{path}:{line}: byte {raw[error.start]:#x} is not UTF-8, expected UTF-8"
        ) from None


def read_kept(folder: str, name: str) -> Any:
    """Read what is cached, or came with this project; None where neither is there whole."""
    kept = read_json(cache_folder() / folder / name)
    return read_json(PREPARED / folder / name) if kept is None else kept


def read_json(path: Path) -> Any:
    """Read JSON; None where there is none, or it was cut short."""
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None


def write_json(path: Path, value: Any) -> None:
    """Write JSON under a temporary name, and rename it into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("w") as file:
        json.dump(value, file, indent=1, ensure_ascii=False, sort_keys=True)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)


def move(source: Path, target: Path) -> None:
    """Put a finished file in its place, also on another file system, never half there."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    shutil.move(source, temporary)
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.rename(target)


def sha256(path: Path) -> str:
    """Hash a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
