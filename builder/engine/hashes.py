"""Content hashes of files and folders, remembered by size and time of change on this machine."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from builder import files, progress

# A smaller file is hashed in less than a second.
LARGE_BYTES = 500_000_000
CHUNK_BYTES = 1 << 25


class Hashes:
    """Hashes of one build's files.

    Args:
        folder: The build's folder. The cache in it only saves time: a damaged one is not read.

    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / ".cache" / "hashes.json"
        known = files.read_json(self._path)
        self._known: dict[str, Any] = known if isinstance(known, dict) else {}

    def of(self, path: Path) -> str | None:
        """Hash a file, or a folder by its files' names and hashes; None when there is nothing."""
        if path.is_file():
            return self._of_file(path)
        if not path.is_dir():
            return None
        digest = hashlib.sha256()
        for file in sorted(file for file in path.rglob("*") if file.is_file()):
            digest.update(f"{file.relative_to(path)}\0{self._of_file(file)}\n".encode())
        return digest.hexdigest()

    def remember(self, path: Path, digest: str) -> None:
        """Take over the SHA-256 of a file that was hashed as it was written."""
        self._known[str(path)] = [*_mark(path), digest]

    def _of_file(self, path: Path) -> str:
        mark = _mark(path)
        known = self._known.get(str(path))
        if isinstance(known, list) and known[:-1] == mark and isinstance(known[-1], str):
            return known[-1]
        is_large = path.stat().st_size >= LARGE_BYTES
        digest = _hash_large(path) if is_large else files.sha256(path)
        self._known[str(path)] = [*mark, digest]
        return digest

    def save(self) -> None:
        """Write the hashes down for the next start."""
        if self._folder.is_dir():
            files.write_cached(self._path, self._known)


def _mark(path: Path) -> list[int]:
    """Give what changes with a file's content."""
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]


def _hash_large(path: Path) -> str:
    """Hash a file's content, and say how far it is."""
    digest, total_mb = hashlib.sha256(), path.stat().st_size // 1_000_000
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            progress.report(f"reads {path.name}", file.tell() // 1_000_000, total_mb, "MB")
    return digest.hexdigest()
