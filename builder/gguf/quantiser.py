"""The client of llama.cpp's quantiser: the types that it chooses, and quantised tensors."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gguf
import llama_cpp
import numpy as np
from llama_cpp._ggml import libggml

from builder.errors import ToolError
from builder.gguf.quantisation import Quantisation

# Its log line for a tensor (llama.cpp, src/llama-quant.cpp): "[   1/ 272] output_norm.weight
# - [ 576, 1, 1, 1], type =    f32, size =    0.002 MiB", followed by " -> 0.001 MiB (q4_K)" if its
# type changes.
LINE = re.compile(
    r"^\[ *\d+/ *\d+\] (?P<name>\S+) .*, type = +(?P<before>\w+), size = .* MiB"
    r"(?: -> .* MiB \((?P<after>\w+)\))?$",
    re.MULTILINE,
)
# How many values a thread quantises at a time, about 12 ms of work, so that all threads share each
# tensor.
CHUNK_VALUES = 1 << 18
OWN_TYPES = {
    np.dtype(np.float16): gguf.GGMLQuantizationType.F16,
    np.dtype(np.float32): gguf.GGMLQuantizationType.F32,
}

# ggml.h of llama-cpp-python 0.3.36.
libggml.ggml_quantize_chunk.restype = ctypes.c_size_t
libggml.ggml_quantize_chunk.argtypes = [
    ctypes.c_int,
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_int64,
    ctypes.c_int64,
    ctypes.c_int64,
    ctypes.c_void_p,
]
libggml.ggml_validate_row_data.restype = ctypes.c_bool
libggml.ggml_validate_row_data.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t]


def choose_types(draft: Path, quantisation: Quantisation) -> dict[str, gguf.GGMLQuantizationType]:
    """Ask the quantiser which type it chooses for each tensor; it reads no values for that.

    Args:
        draft: A GGUF in 16 bit, which may have a hole in place of its values.
        quantisation: The quantisation.

    Returns:
        The types by tensor name, in the order in which the quantiser writes them.

    Raises:
        ToolError: The quantiser refused.

    """
    parameters = llama_cpp.llama_model_quantize_default_params()
    parameters.ftype, parameters.dry_run = quantisation.file_type, True
    with _hear() as heard:
        code = llama_cpp.llama_model_quantize(str(draft).encode(), b"", parameters)
    text = b"".join(heard).decode("utf-8", "replace")
    if code:
        said = text.strip().splitlines()[-1:] or [f"it ended with {code}"]
        raise ToolError(
            f"llama.cpp's quantiser refuses the converted base ({said[0]}), expected types for "
            f"{quantisation.name}"
        )
    return {
        found["name"]: gguf.GGMLQuantizationType[(found["after"] or found["before"]).upper()]
        for found in LINE.finditer(text)
    }


@contextmanager
def _hear() -> Iterator[list[bytes]]:
    """Collect the log of llama.cpp."""
    heard: list[bytes] = []
    before, its_data = llama_cpp.llama_log_callback(), ctypes.c_void_p()
    llama_cpp.llama_log_get(ctypes.byref(before), ctypes.byref(its_data))
    listener = llama_cpp.llama_log_callback(lambda _level, text, _data: heard.append(text))
    llama_cpp.llama_log_set(listener, None)
    try:
        yield heard
    finally:
        llama_cpp.llama_log_set(before, its_data)


def start(
    values: np.ndarray[Any, Any], kind: gguf.GGMLQuantizationType, name: str, threads: Executor
) -> Callable[[], np.ndarray[Any, Any]]:
    """Start to convert a tensor's values to a type.

    The bytes do not depend on the number of threads.

    Args:
        values: Values from the converter, shape (..., C); if they have the type, they are kept.
        kind: The type.
        name: The tensor's name, for messages.
        threads: Do the work.

    Returns:
        A function that waits for the rows, as the file holds them. It raises a ToolError if a
        value is not a finite number.

    """
    before = OWN_TYPES.get(values.dtype, kind)  # the converter may have quantised them
    rows = np.ascontiguousarray(values).reshape(-1, values.shape[-1])  # (R, C)
    out = rows if before == kind else make_rows(rows, kind)

    def work(part: slice) -> bool:
        is_valid = _is_finite(rows[part], before)
        if before != kind:
            quantise_rows(rows[part], kind, out[part])
        return is_valid

    step = max(1, CHUNK_VALUES // rows.shape[1])
    parts = [slice(first, first + step) for first in range(0, len(rows), step)]
    checks = threads.map(work, parts)

    def wait() -> np.ndarray[Any, Any]:
        if not all(list(checks)):
            raise ToolError(
                f"{name}: contains values that are not finite numbers, expected only such",
                hint="the base is damaged, or training diverged: look at the losses in report.html",
            )
        return out

    return wait


def _is_finite(rows: np.ndarray[Any, Any], kind: gguf.GGMLQuantizationType) -> bool:
    return bool(libggml.ggml_validate_row_data(kind, rows.ctypes.data, rows.nbytes))


def make_rows(rows: np.ndarray[Any, Any], kind: gguf.GGMLQuantizationType) -> np.ndarray[Any, Any]:
    """Make an array for rows of shape (R, C) as the file holds them, shape (R, bytes)."""
    block, block_bytes = gguf.GGML_QUANT_SIZES[kind]
    return np.empty((len(rows), rows.shape[1] // block * block_bytes), np.uint8)


def quantise_rows(
    rows: np.ndarray[Any, Any], kind: gguf.GGMLQuantizationType, out: np.ndarray[Any, Any]
) -> None:
    """Quantise rows of shape (R, C) in this thread into what `make_rows` made."""
    wide = rows.astype(np.float32)
    libggml.ggml_quantize_chunk(
        kind, wide.ctypes.data, out.ctypes.data, 0, len(wide), wide.shape[1], None
    )
