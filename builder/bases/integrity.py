"""Checks fetched files by their hash, which is the name of large files in the hub's cache."""

from __future__ import annotations

import hashlib
import re
import time
from contextlib import suppress
from pathlib import Path

from builder import files, progress

SHA256 = re.compile(r"[0-9a-f]{64}")
Mark = list[int]
# A running download writes every 10 MB (huggingface_hub 1.33, constants.py).
ABANDONED_AFTER_S = 3600.0


def find_broken(folder: Path) -> list[Path]:
    """List the files whose content does not have the hub's hash; each file is read once.

    Args:
        folder: A snapshot in the hub's cache: links to files that are named by their ETag, which
            for a large file (LFS) is its SHA-256. Other files are not checked.

    """
    record = files.cache_folder() / "verified" / f"{_hash_text(str(folder))}.json"
    known = files.read_json(record)
    known = known if isinstance(known, dict) else {}
    marks, broken = {}, []
    links = {path: path.stat().st_size for path in _list_links(folder)}
    done = 0
    total = sum(size for path, size in links.items() if known.get(path.name) != _mark(path))
    for path, size in links.items():
        mark = _mark(path)
        if known.get(path.name) != mark:
            progress.report("checks what was fetched", done // 1_000_000, total // 1_000_000, "MB")
            done += size
            if files.sha256(path) != _read_name(path):
                broken.append(path)
                continue
        marks[path.name] = mark
    if marks != known:
        files.write_json(record, marks)
    return broken


def remove(path: Path) -> None:
    """Remove a file from the hub's cache, and the link to it."""
    blob = path.parent / path.readlink()
    for one in (blob.resolve(), blob, path):
        one.unlink(missing_ok=True)


def remove_abandoned(cache: Path, repository: str, kind: str = "model") -> None:
    """Remove partial files of killed downloads, which huggingface_hub does not resume.

    Args:
        cache: The hub's cache.
        repository: The repository.
        kind: Its kind: `model` or `dataset`.

    """
    folder = cache / f"{kind}s--{repository.replace('/', '--')}" / "blobs"
    for part in folder.glob("*.incomplete"):
        with suppress(OSError):  # the download may just have finished
            if time.time() - part.stat().st_mtime > ABANDONED_AFTER_S:
                part.unlink()


def _list_links(folder: Path) -> list[Path]:
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() and path.is_file() and SHA256.fullmatch(_read_name(path))
    ]


def _read_name(path: Path) -> str:
    return path.readlink().name


def _mark(path: Path) -> Mark:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ino]


def _hash_text(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]
