"""What Unsloth and torch read from the environment, to be set before they are imported."""

from __future__ import annotations

import atexit
import hashlib
import importlib.metadata
import os
import shutil
import tempfile
from pathlib import Path

from builder import files, processor
from builder.machine import find_device, find_machine


def prepare() -> None:
    """Choose the GPU, name the caches, and keep Unsloth and the hub's client quiet."""
    # Unsloth trains on one GPU; Kaggle's second T4 confuses it, and so does one that torch
    # cannot use.
    os.environ["CUDA_VISIBLE_DEVICES"] = find_device() if find_machine().kind == "gpu" else ""
    os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")  # as the driver's library counts them
    # It waits two minutes where its server is out of reach.
    os.environ["UNSLOTH_DISABLE_STATISTICS"] = "1"
    # On a GPU Unsloth compiles each layer from torch 2.11 on (its models/_block_compile.py), anew
    # for a shape: that fails while a step is captured, and where activations are computed twice.
    os.environ["UNSLOTH_BLOCK_COMPILE"] = "0"
    os.environ["UNSLOTH_COMPILE_LOCATION"] = _make_temporary_folder()
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(_find_compile_cache()))
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"


def _make_temporary_folder() -> str:
    """Make a folder of this process: Unsloth writes Python files there and imports them."""
    folder = tempfile.mkdtemp(prefix="persona-unsloth-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _find_compile_cache() -> Path:
    # torch names what it compiled by the code alone, but what one processor runs can be illegal
    # on another.
    features = hashlib.sha256(processor.read_flags().encode()).hexdigest()[:8]
    version = importlib.metadata.version("torch")
    return files.cache_folder() / "compiled" / f"torch-{version}-{features}"
