"""Quantises tensors on a GPU, and compares rows of each with llama.cpp's quantiser."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from builder.gguf import k_quants, quantiser

if TYPE_CHECKING:
    import gguf

# How many tensors the GPU quantises at a time, and how many values of each: a quarter of a GB with
# what is computed from them.
AT_ONCE = 4
CHUNK_VALUES = 1 << 22
# How many rows of a tensor llama.cpp quantises as well.
COMPARED_ROWS = 8


class GpuQuantiser:
    """Quantises what it can on the GPU; llama.cpp quantises the rest on the CPU.

    The file is the same: if the bytes of a tensor's compared rows differ, llama.cpp quantises all
    of them. It also does so after a failure of the GPU or of Triton, which needs a C compiler.

    Args:
        device: The GPU, as torch names it.

    """

    def __init__(self, device: str = "cuda") -> None:
        self._device = device
        self._has_failed = False
        self._turns = threading.Semaphore(AT_ONCE)

    def start(
        self,
        values: np.ndarray[Any, Any],
        kind: gguf.GGMLQuantizationType,
        name: str,
        threads: Executor,
    ) -> Callable[[], np.ndarray[Any, Any]]:
        """Start to convert a tensor's values to a type, as `quantiser.start`."""
        if self._has_failed or values.dtype != np.float16 or kind not in k_quants.KINDS:
            return quantiser.start(values, kind, name, threads)
        rows = np.ascontiguousarray(values).reshape(-1, values.shape[-1])
        attempt = threads.submit(self._quantise, rows, kind)

        def wait() -> np.ndarray[Any, Any]:
            out = attempt.result()
            return quantiser.start(values, kind, name, threads)() if out is None else out

        return wait

    def _quantise(
        self, rows: np.ndarray[Any, Any], kind: gguf.GGMLQuantizationType
    ) -> np.ndarray[Any, Any] | None:
        """Quantise rows of shape (R, C); None if llama.cpp must do it, or refuse them."""
        try:
            with self._turns:
                out = self._run(rows, kind)
        except Exception:  # noqa: BLE001 — Triton and CUDA raise of every kind
            self._has_failed = True
            traceback.print_exc()  # into the stage's log
            return None
        if out is None or not _is_as_llama_cpp(rows, kind, out):
            return None
        return out

    def _run(
        self, rows: np.ndarray[Any, Any], kind: gguf.GGMLQuantizationType
    ) -> np.ndarray[Any, Any] | None:
        """Quantise some rows at a time; None if a value is not a finite number."""
        out = quantiser.make_rows(rows, kind)
        step = max(1, CHUNK_VALUES // rows.shape[1])
        for first in range(0, len(rows), step):
            part = slice(first, first + step)
            values = torch.from_numpy(rows[part]).to(self._device)
            if not values.isfinite().all():
                return None
            made = k_quants.quantise(values, kind)
            torch.from_numpy(out[part]).copy_(made.view(len(values), -1))
        return out


def _is_as_llama_cpp(
    rows: np.ndarray[Any, Any], kind: gguf.GGMLQuantizationType, out: np.ndarray[Any, Any]
) -> bool:
    """Compare some rows with those that llama.cpp's quantiser gives."""
    compared = np.linspace(0, len(rows) - 1, COMPARED_ROWS).astype(int)
    expected = quantiser.make_rows(rows[compared], kind)
    quantiser.quantise_rows(rows[compared], kind, expected)
    if np.array_equal(out[compared], expected):
        return True
    print(f"the GPU quantises to other bytes than llama.cpp: {kind.name}")  # noqa: T201
    return False
