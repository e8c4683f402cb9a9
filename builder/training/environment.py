"""Sets what Unsloth and torch read from the environment, before they are imported."""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import importlib.metadata
import os
import tempfile
from pathlib import Path

from builder import cpu, files, machine, temporaries


def prepare() -> None:
    """Select the GPU, set the cache folders, and keep Unsloth and the hub's client quiet."""
    # Unsloth trains on one GPU, and fails with Kaggle's second T4 or a GPU that torch cannot use.
    machine.select_gpu()
    # It waits two minutes if its server cannot be reached.
    os.environ["UNSLOTH_DISABLE_STATISTICS"] = "1"
    # From torch 2.11 on, Unsloth compiles each layer on a GPU for each shape (its
    # models/_block_compile.py), which fails during capture and with gradient checkpointing.
    os.environ["UNSLOTH_BLOCK_COMPILE"] = "0"
    os.environ["UNSLOTH_COMPILE_LOCATION"] = _make_temporary_folder()
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(_find_compile_cache()))
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"


def _make_temporary_folder() -> str:
    """Make a folder for this process, where Unsloth writes Python files and imports them."""
    stack = contextlib.ExitStack()
    atexit.register(stack.close)
    held = temporaries.held(Path(tempfile.gettempdir()) / "persona-unsloth")
    folder = stack.enter_context(held)
    folder.chmod(0o700)  # nobody else may put Python there
    return str(folder / "compiled")


def _find_compile_cache() -> Path:
    # torch names compiled code by its source only, but code for one CPU can be illegal on another.
    features = hashlib.sha256(cpu.read_flags().encode()).hexdigest()[:8]
    version = importlib.metadata.version("torch")
    return files.cache_folder() / "compiled" / f"torch-{version}-{features}"
