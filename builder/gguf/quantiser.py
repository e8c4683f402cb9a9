"""Quantises a GGUF with llama.cpp's own quantiser."""

from __future__ import annotations

import shutil
from pathlib import Path

from builder.errors import ToolError
from builder.gguf.quantisation import Quantisation
from builder.processor import count_cores


def quantize(source: Path, out: Path, quantisation: Quantisation) -> None:
    """Write a GGUF in another quantisation.

    Raises:
        ToolError: The quantiser refused.

    """
    import llama_cpp  # noqa: PLC0415 — loads llama.cpp

    parameters = llama_cpp.llama_model_quantize_default_params()
    parameters.ftype = quantisation.file_type
    parameters.nthread = count_cores()  # on which the bytes do not depend
    code = llama_cpp.llama_model_quantize(str(source).encode(), str(out).encode(), parameters)
    if code:
        free_bytes = shutil.disk_usage(out.parent).free
        raise ToolError(
            f"{source}: llama.cpp's quantiser to {quantisation.name} ended with {code} "
            f"({free_bytes / 1e9:.1f} GB are free in {out.parent}), expected {out.name}"
        )
