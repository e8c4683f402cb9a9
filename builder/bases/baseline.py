"""The baseline: the base itself as a q4_k_m GGUF, which is asked the same as its personas."""

from __future__ import annotations

from pathlib import Path

from builder import files
from builder.bases import embedded
from builder.bases.base import Base


def find_control(chosen: Base) -> Path | None:
    """Find the base's own q4_k_m GGUF; None where it was never made here."""
    if chosen.kind == "embedded":
        return embedded.find_package()
    path = control_path(chosen)
    return path if path.is_file() else None


def control_path(chosen: Base) -> Path:
    """Say where the base's own GGUF is cached, for all personas."""
    return (
        files.cache_folder()
        / "controls"
        / f"{chosen.source.strip('/').replace('/', '--')}-{chosen.revision[:12]}.gguf"
    )
