"""What Unsloth and torch read from the environment, and loading a base with them."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
from pathlib import Path

from builder import files
from builder.machine import find_machine, find_device, read_processor_flags


def prepare_unsloth(work: Path) -> None:
    """Set what Unsloth and torch read from the environment, before they are imported."""
    # Unsloth trains on one GPU; Kaggle's second T4 confuses it, and so does one that torch cannot use.
    os.environ["CUDA_VISIBLE_DEVICES"] = find_device() if find_machine().kind == "gpu" else ""
    os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")  # as the driver's library counts them
    os.environ["UNSLOTH_DISABLE_STATISTICS"] = (
        "1"  # it waits two minutes where its server is out of reach
    )
    os.environ["UNSLOTH_COMPILE_LOCATION"] = str(work / "unsloth_compiled_cache")
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(_compiled()))
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"


def _compiled() -> Path:
    # torch names what it compiled by the code alone, but what one processor runs can be illegal on another.
    processor = hashlib.sha256(read_processor_flags().encode()).hexdigest()[:8]
    return (
        files.cache_folder()
        / "compiled"
        / f"torch-{importlib.metadata.version('torch')}-{processor}"
    )
