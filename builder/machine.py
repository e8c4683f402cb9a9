"""What the machine trains on: a GPU that torch can use, found without torch, or the processor."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

# PyPI's torch 2.10.0 is built for CUDA 12.8, its kernels from Volta (sm_70) on. Any driver of the
# same major version runs them (docs.nvidia.com/deploy/cuda-compatibility, "Minor Version
# Compatibility"): for CUDA 12 that is 525 or newer.
LOWEST_CAPABILITY, LOWEST_CUDA = (7, 0), (12, 0)
BF16_CAPABILITY = (8, 0)
PROCESSOR = Path("/proc/cpuinfo")
# Where one instruction multiplies bfloat16, a step on two cores takes 0.6 of its time
# (benchmarks/train.py).
BF16_FLAGS = ("avx512_bf16", "amx_bf16")


@dataclass(frozen=True)
class Machine:
    """What the machine trains on."""

    kind: Literal["gpu", "cpu"]
    name: str
    has_bf16: bool
    """Whether bfloat16 is computed, not emulated; torch says yes on a T4, where it is emulated."""
    refused: str = ""
    """Why the GPU that is here cannot be trained on."""


def find_device() -> str:
    """Name the GPU to use, the first in CUDA_VISIBLE_DEVICES; nothing where it hides all."""
    first = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0].strip()
    return "" if first == "-1" else first


@functools.cache
def find_machine() -> Machine:
    """Find the GPU through the driver, without torch; else the processor."""
    import pynvml  # noqa: PLC0415 — loads the driver's library

    processor = Machine("cpu", "no GPU here", _processor_has_bf16())
    index = find_device()
    if not index:
        return processor
    try:
        pynvml.nvmlInit()
        device = (
            pynvml.nvmlDeviceGetHandleByIndex(int(index))
            if index.isdigit()
            else pynvml.nvmlDeviceGetHandleByUUID(index)
        )
        name = pynvml.nvmlDeviceGetName(device)
        capability = tuple(pynvml.nvmlDeviceGetCudaComputeCapability(device))
        cuda = divmod(pynvml.nvmlSystemGetCudaDriverVersion_v2() // 10, 100)  # 13020 is 13.2
    except pynvml.NVMLError:
        return processor
    for what, found, lowest in (
        ("has compute capability", capability, LOWEST_CAPABILITY),
        ("has a driver for CUDA", cuda, LOWEST_CUDA),
    ):
        if found < lowest:
            return replace(
                processor,
                name=name,
                refused=(
                    f"{name}: {what} {found[0]}.{found[1]}, expected {lowest[0]}.{lowest[1]} or "
                    "newer, which torch needs"
                ),
            )
    return Machine("gpu", name, capability >= BF16_CAPABILITY)


def find_memory_bytes(machine: Machine) -> int:
    """Find the memory that training has: the GPU's, or the whole of the processor's."""
    if machine.kind == "cpu":
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    import pynvml  # noqa: PLC0415 — loads the driver's library

    index = find_device()
    pynvml.nvmlInit()
    device = (
        pynvml.nvmlDeviceGetHandleByIndex(int(index))
        if index.isdigit()
        else pynvml.nvmlDeviceGetHandleByUUID(index)
    )
    return int(pynvml.nvmlDeviceGetMemoryInfo(device).total)


def read_processor_flags() -> str:
    """Read what the processor computes, as Linux lists it; nothing where it lists nothing."""
    try:
        lines = PROCESSOR.read_text().splitlines()
    except OSError:
        return ""
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")


def _processor_has_bf16() -> bool:
    flags = read_processor_flags().split()
    return any(flag in flags for flag in BF16_FLAGS)
