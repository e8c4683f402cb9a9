"""What quantising a tensor takes on a GPU, beside llama.cpp's quantiser on all cores.

Run as: python benchmarks/quantiser.py [--rows 65536] [--json]

For each type that the kernels know, of random values of --rows rows of 2560:

gpu_s: from the values in memory to the bytes in memory, copied to the GPU and back; the median of
three, after one that compiles. llama_cpp_s: llama.cpp's quantiser, once. ratio: llama_cpp_s /
gpu_s. is_equal: whether all bytes are equal.
"""

from __future__ import annotations

import argparse
import functools
import json
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent.parent))

from builder.cpu import count_cores
from builder.gguf import k_quants, quantiser
from builder.gguf.gpu_quantiser import GpuQuantiser

COLUMNS = 2560
REPEATS = 3


def main() -> None:
    """Print the seconds of each type."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1 << 16, help="rows of the tensor")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    random = np.random.default_rng(0)
    values = (random.standard_normal((options.rows, COLUMNS)) * 0.02).astype(np.float16)
    figures: dict[str, dict[str, Any]] = {}
    with ThreadPoolExecutor(count_cores()) as threads:
        for kind in k_quants.KINDS:
            quantise = functools.partial(GpuQuantiser().quantise, values, kind)
            measure(quantise)
            runs = [measure(quantise) for _ in range(REPEATS)]
            gpu_s = statistics.median(run_s for run_s, _ in runs)
            llama_cpp_s, expected = measure(
                functools.partial(quantise_on_cpu, values, kind, threads)
            )
            figures[kind.name] = {
                "gpu_s": gpu_s,
                "llama_cpp_s": llama_cpp_s,
                "ratio": llama_cpp_s / gpu_s,
                "is_equal": all(np.array_equal(made, expected) for _, made in runs),
            }
    if options.json:
        print(json.dumps(figures))
        return
    print(
        f"{torch.cuda.get_device_name()}, {count_cores()} cores, {values.size / 1e6:.0f} M values"
    )
    for name, found in figures.items():
        print(
            f"{name}: {found['gpu_s']:.3f} s on the GPU, {found['llama_cpp_s']:.2f} by llama.cpp, "
            f"{found['ratio']:.1f} times as long; "
            f"{'equal' if found['is_equal'] else 'not equal'} bytes"
        )


def quantise_on_cpu(values: np.ndarray[Any, Any], kind: Any, threads: Executor) -> Any:
    """Let llama.cpp quantise in all threads."""
    return quantiser.start(values, kind, "tensor", threads)()


def measure(quantise: Callable[[], Any]) -> tuple[float, Any]:
    """Quantise once; give the seconds and the rows."""
    before_s = time.perf_counter()
    made = quantise()
    return time.perf_counter() - before_s, made


if __name__ == "__main__":
    main()
