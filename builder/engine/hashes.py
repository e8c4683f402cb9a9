"""Content hashes of files and folders, cached by size and time of change."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from builder import files, progress
from builder.cpu import count_cores

# A smaller file is hashed in less than a second.
LARGE_BYTES = 500_000_000
CHUNK_BYTES = 1 << 25


class Hashes:
    """Hashes of one build's files.

    Args:
        folder: The build's folder, which holds the cache; a damaged cache is ignored.

    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / ".cache" / "hashes.json"
        known = files.read_json(self._path)
        self._known: dict[str, Any] = known if isinstance(known, dict) else {}

    def of(self, path: Path) -> str | None:
        """Hash a file, or a folder by its files' names and hashes; None if it does not exist."""
        if path.is_file():
            return self._of_file(path)
        if not path.is_dir():
            return None
        digest, found = hashlib.sha256(), sorted(file for file in path.rglob("*") if file.is_file())
        self._hash_large(found)
        for file in found:
            digest.update(f"{file.relative_to(path)}\0{self._of_file(file)}\n".encode())
        return digest.hexdigest()

    def remember(self, path: Path, digest: str) -> None:
        """Add the SHA-256 of a file that was hashed while it was written."""
        self._known[str(path)] = [*_mark(path), digest]

    def _of_file(self, path: Path) -> str:
        self._hash_large([path])
        if known := self._recall(path):
            return known
        mark = _mark(path)
        digest = files.sha256(path)
        self._known[str(path)] = [*mark, digest]
        return digest

    def _recall(self, path: Path) -> str | None:
        known = self._known.get(str(path))
        if isinstance(known, list) and known[:-1] == _mark(path) and isinstance(known[-1], str):
            return known[-1]
        return None

    def _hash_large(self, paths: Sequence[Path]) -> None:
        """Hash the large files among these that are not cached, in parallel."""
        large = [
            path
            for path in paths
            if path.stat().st_size >= LARGE_BYTES and self._recall(path) is None
        ]
        if not large:
            return
        marks = [_mark(path) for path in large]  # taken first: a file may change while it is read
        for path, mark, digest in zip(large, marks, hash_side_by_side(large), strict=True):
            self._known[str(path)] = [*mark, digest]

    def save(self) -> None:
        """Write the cache."""
        if self._folder.is_dir():
            files.write_cached(self._path, self._known)


# The SHA-256 of large files that this process has read.
_read: dict[tuple[str, ...], str] = {}


def hash_side_by_side(paths: Sequence[Path]) -> list[str]:
    """Give the SHA-256 of each of some files, read on all cores and once in a process."""
    marks = [(str(path.absolute()), *map(str, _mark(path))) for path in paths]
    new = {mark: path for mark, path in zip(marks, paths, strict=True) if mark not in _read}
    if new:
        with ThreadPoolExecutor(count_cores()) as threads:
            digests = threads.map(_Reading(list(new.values())).hash, new.values())
            _read.update(zip(new, digests, strict=True))
    return [_read[mark] for mark in marks]


def _mark(path: Path) -> list[int]:
    """Give figures that change whenever the content of a file changes."""
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]


class _Reading:
    """Hashes files, and reports the progress over all of them."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._what = f"reads {paths[0].name}" if len(paths) == 1 else f"reads {len(paths)} files"
        self._total_mb = sum(path.stat().st_size for path in paths) // 10**6
        self._read_bytes, self._counting = 0, threading.Lock()

    def hash(self, path: Path) -> str:
        """Hash one file."""
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                digest.update(chunk)
                with self._counting:
                    self._read_bytes += len(chunk)
                    done_mb = self._read_bytes // 10**6
                    progress.report(self._what, done_mb, self._total_mb, "MB")
        return digest.hexdigest()
