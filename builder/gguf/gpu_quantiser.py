"""Quantises tensors on a GPU, and compares rows of each with llama.cpp's quantiser."""

from __future__ import annotations

import logging
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

# How many tensors the GPU quantises at a time, and how many values of each are there at a time.
# All of them take up to a GB, besides what CUDA itself takes.
AT_ONCE = 4
CHUNK_VALUES = 1 << 22
log = logging.getLogger("builder")


class GpuQuantiser:
    """Quantises what it can on the GPU; llama.cpp quantises the rest on the CPU.

    Two rows of each chunk are compared with those of llama.cpp. If a byte differs, or the GPU or
    Triton fails, llama.cpp quantises that tensor and all that follow.

    Args:
        device: The GPU, as torch names it.

    """

    def __init__(self, device: str = "cuda") -> None:
        self._device = device
        self._has_failed = False
        self._failing = threading.Lock()
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
        attempt = threads.submit(self._attempt, values, kind, name, threads)

        def wait() -> np.ndarray[Any, Any]:
            wait_for_rows = attempt.result()
            return wait_for_rows()

        return wait

    def _attempt(
        self,
        values: np.ndarray[Any, Any],
        kind: gguf.GGMLQuantizationType,
        name: str,
        threads: Executor,
    ) -> Callable[[], np.ndarray[Any, Any]]:
        """Quantise a tensor, or let llama.cpp start to, which also refuses what is not finite."""
        with self._turns:
            if not self._has_failed:
                try:
                    made = self.quantise(values, kind)
                except Exception as error:  # noqa: BLE001 — Triton and CUDA have many types of them
                    self._give_up(error)
                else:
                    if made is not None:
                        return lambda: made
        return quantiser.start(values, kind, name, threads)

    def quantise(
        self, values: np.ndarray[Any, Any], kind: gguf.GGMLQuantizationType
    ) -> np.ndarray[Any, Any] | None:
        """Quantise a tensor, some rows at a time.

        Args:
            values: Shape (..., C), float16.
            kind: One of `k_quants.KINDS`.

        Returns:
            The rows as the file holds them; None if a value is not a finite number.

        Raises:
            RuntimeError: The bytes of a compared row are not those of llama.cpp. CUDA and Triton
                raise it too, and others.

        """
        rows = np.ascontiguousarray(values).reshape(-1, values.shape[-1])  # (R, C)
        out = quantiser.make_rows(rows, kind)
        step = max(1, CHUNK_VALUES // rows.shape[1])
        for first in range(0, len(rows), step):
            part = slice(first, first + step)
            on_gpu = torch.from_numpy(rows[part]).to(self._device)
            if not on_gpu.isfinite().all():
                return None
            made = k_quants.quantise(on_gpu, kind)
            torch.from_numpy(out[part]).copy_(made.view(len(on_gpu), -1))
            _compare(rows[part][[0, -1]], kind, out[part][[0, -1]])
        return out

    def _give_up(self, error: Exception) -> None:
        with self._failing:
            if self._has_failed:
                return
            self._has_failed = True
        traceback.print_exception(error)  # into the stage's log
        reason = str(error).strip().partition("\n")[0]
        log.warning("export: the GPU does not quantise (%s); the CPU does", reason)


def _compare(
    rows: np.ndarray[Any, Any], kind: gguf.GGMLQuantizationType, made: np.ndarray[Any, Any]
) -> None:
    """Compare rows of shape (R, C) with what llama.cpp makes of them."""
    expected = quantiser.make_rows(rows, kind)
    quantiser.quantise_rows(rows, kind, expected)
    if not np.array_equal(made, expected):
        raise RuntimeError(f"its {kind.name} differs from llama.cpp's")
