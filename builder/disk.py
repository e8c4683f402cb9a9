"""The free space on a disk, and the size of a folder."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from builder.errors import ToolError


def check_room(folder: Path, need_bytes: float, purpose: str, *, hint: str) -> None:
    """Check that the disk of a folder, which may not exist yet, has room.

    Args:
        folder: The folder that will be written to.
        need_bytes: The space needed.
        purpose: What it is for, such as "the export".
        hint: What to do if there is too little.

    Raises:
        ToolError: There is too little.

    """
    existing = next(path for path in (folder, *folder.absolute().parents) if path.is_dir())
    free_bytes = shutil.disk_usage(existing).free
    if free_bytes < need_bytes:
        have, need = f"{free_bytes / 1e9:.1f} GB free", f"{need_bytes / 1e9:.1f} GB"
        raise ToolError(f"{folder}: {have}, expected {need} for {purpose}", hint=hint)


def measure_bytes(folder: Path) -> int:
    """Add up the sizes of the files in a folder; files that cannot be read are left out.

    A symbolic link counts as itself, and a file with several hard links once.
    """
    sizes_bytes: dict[tuple[int, int], int] = {}
    for at, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                status = os.lstat(os.path.join(at, name))  # noqa: PTH118 — a cache has thousands
                sizes_bytes[status.st_dev, status.st_ino] = status.st_size
    return sum(sizes_bytes.values())
