"""What the machine trains on: a GPU that torch can use, found without torch, or the processor."""

from __future__ import annotations

import functools
import os
import platform
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

# PyPI's torch 2.10.0 is built for CUDA 12.8, its kernels from Volta (sm_70) on. Any driver of the
# same major version runs them (docs.nvidia.com/deploy/cuda-compatibility, "Minor Version
# Compatibility"): for CUDA 12 that is 525 or newer.
LOWEST_CAPABILITY, LOWEST_CUDA = (7, 0), (12, 0)
BF16_CAPABILITY = (8, 0)
PROCESSOR = Path("/proc/cpuinfo")
# What the processors spend their time on (man 5 proc), and how long that is looked at.
TICKS, BUSY_MOMENT_S = Path("/proc/stat"), 0.1
# The groups of this process, and where their limits stand; a container's, or a batch system's
# (Linux, man 7 cgroups; Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst).
GROUPS, GROUP_LIMITS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")
ON_THE_PROCESSOR = "or build on the processor with --base cpu"
# nvml.h, NVML_ERROR_LIB_RM_VERSION_MISMATCH: the driver was updated under a running kernel.
LIBRARY_DIFFERS = 18
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
    refused_hint: str = ""
    """What to do about it."""

    @property
    def compute_type(self) -> Literal["bfloat16", "float16", "float32"]:
        """What layers compute in: float16 on a GPU and float32 on a processor without bfloat16."""
        if self.has_bf16:
            return "bfloat16"
        return "float16" if self.kind == "gpu" else "float32"


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """What the driver says of one GPU at a moment."""

    name: str
    capability: tuple[int, int]
    cuda: tuple[int, int]
    """The newest CUDA that the driver runs."""
    driver: str
    memory_bytes: int
    free_bytes: int
    processes: tuple[int, ...]
    """Those that compute on it, where the driver tells."""


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
        device = _find_handle(pynvml, index)
        if device is None:
            return _refuse_device(processor, index, int(pynvml.nvmlDeviceGetCount()))
        name = pynvml.nvmlDeviceGetName(device)
        capability = _read_capability(pynvml, device)
        cuda = _read_cuda(pynvml)
    except pynvml.NVMLError as error:
        return _explain_driver(processor, error)
    for what, found, lowest, way in (
        ("has compute capability", capability, LOWEST_CAPABILITY, "take another GPU"),
        ("has a driver for CUDA", cuda, LOWEST_CUDA, "update NVIDIA's driver"),
    ):
        if found < lowest:
            return replace(
                processor,
                name=name,
                refused=(
                    f"{name}: {what} {found[0]}.{found[1]}, expected {lowest[0]}.{lowest[1]} or "
                    "newer, which torch needs"
                ),
                refused_hint=f"{way} (on Kaggle choose the T4), {ON_THE_PROCESSOR}",
            )
    return Machine("gpu", name, capability >= BF16_CAPABILITY)


def inspect_gpu() -> Gpu | None:
    """Ask the driver for what changes of the GPU to use, such as its free memory; None without."""
    import pynvml  # noqa: PLC0415 — loads the driver's library

    index = find_device()
    try:
        pynvml.nvmlInit()
        device = _find_handle(pynvml, index) if index else None
        if device is None:
            return None
        memory = pynvml.nvmlDeviceGetMemoryInfo(device)
        return Gpu(
            name=pynvml.nvmlDeviceGetName(device),
            capability=_read_capability(pynvml, device),
            cuda=_read_cuda(pynvml),
            driver=pynvml.nvmlSystemGetDriverVersion(),
            memory_bytes=int(memory.total),
            free_bytes=int(memory.free),
            processes=_list_processes(pynvml, device),
        )
    except pynvml.NVMLError:
        return None


def _find_handle(pynvml: Any, index: str) -> Any:
    """Find a GPU by its number, or by its UUID or the beginning of one; None where there is none.

    Source:
        CUDA C Programming Guide, "CUDA Environment Variables".
    """
    try:
        if index.isdecimal():
            return pynvml.nvmlDeviceGetHandleByIndex(int(index))
        return pynvml.nvmlDeviceGetHandleByUUID(index)
    except pynvml.NVMLError:
        pass
    for number in range(pynvml.nvmlDeviceGetCount()):
        device = pynvml.nvmlDeviceGetHandleByIndex(number)
        if not index.isdecimal() and pynvml.nvmlDeviceGetUUID(device).startswith(index):
            return device
    return None


def _read_capability(pynvml: Any, device: Any) -> tuple[int, int]:
    major, minor = pynvml.nvmlDeviceGetCudaComputeCapability(device)
    return int(major), int(minor)


def _read_cuda(pynvml: Any) -> tuple[int, int]:
    return divmod(int(pynvml.nvmlSystemGetCudaDriverVersion_v2()) // 10, 100)  # 13020 is 13.2


def _list_processes(pynvml: Any, device: Any) -> tuple[int, ...]:
    try:
        found = pynvml.nvmlDeviceGetComputeRunningProcesses(device)
    except pynvml.NVMLError:
        return ()
    return tuple(sorted(int(process.pid) for process in found))


def _refuse_device(processor: Machine, index: str, count: int) -> Machine:
    """Refuse what CUDA_VISIBLE_DEVICES names, where there are GPUs and it is none of them."""
    if not count:
        return processor
    numbers = "0" if count == 1 else f"a number from 0 to {count - 1}"
    return replace(
        processor,
        refused=(
            f"CUDA_VISIBLE_DEVICES: begins with {index[:40]!r}, which names no GPU here, expected "
            f"{numbers} or a GPU's UUID"
        ),
        refused_hint=f"set it to a GPU of `nvidia-smi -L`, or unset it, {ON_THE_PROCESSOR}",
    )


def _explain_driver(processor: Machine, error: Exception) -> Machine:
    """Refuse a GPU whose driver cannot be asked; where there is no driver, there is no GPU."""
    if getattr(error, "value", None) != LIBRARY_DIFFERS:
        return processor
    return replace(
        processor,
        refused=(
            "NVIDIA's driver: its library is of another version than what the kernel has loaded, "
            "expected one version"
        ),
        refused_hint=f"restart the machine, {ON_THE_PROCESSOR}",
    )


def find_memory_bytes(machine: Machine) -> int:
    """Find the memory that training has: the GPU's, or the processor's."""
    gpu = inspect_gpu() if machine.kind == "gpu" else None
    return gpu.memory_bytes if gpu else find_processor_memory_bytes()


def find_processor_memory_bytes() -> int:
    """Find the whole memory of this machine, or of the container that this is; 0 if not known."""
    try:
        most = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        most = 0
    for path in _list_memory_limits():
        try:
            most = min(most, int(path.read_text("utf-8")))
        except (OSError, ValueError):  # "max" is no limit
            continue
    return most


def _list_memory_limits() -> Iterator[Path]:
    """List the files that may limit this process's memory: its group's and those around it.

    In a container the group may be named as outside of it; then only the outermost file is there.
    """
    try:
        lines = GROUPS.read_text("utf-8").splitlines()
    except (OSError, ValueError):
        lines = []
    for kind, root, name in (
        ("", GROUP_LIMITS, "memory.max"),
        ("memory", GROUP_LIMITS / "memory", "memory.limit_in_bytes"),
    ):
        named = (line.split(":", 2) for line in lines if line.count(":") >= 2)
        groups = [group for _, kinds, group in named if kind in kinds.split(",")]
        for group in groups or [""]:
            parts = Path(group.lstrip("/")).parts
            yield from (root.joinpath(*parts[:size], name) for size in range(len(parts) + 1))


def count_cores() -> int:
    """Count the cores that this process may use: `taskset`, a container or a job may have fewer."""
    if hasattr(os, "sched_getaffinity"):  # macOS has none
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def measure_busy_share() -> float:
    """Measure, in a moment, the share of the machine's processors that are at work.

    A machine that does not tell counts as idle.
    """
    before = _read_ticks()
    time.sleep(BUSY_MOMENT_S)
    spent = [after - first for first, after in zip(before, _read_ticks(), strict=False)]
    idle = sum(spent[3:5])  # the ticks of waiting for work and for a disk (man 5 proc)
    return 1 - idle / sum(spent) if sum(spent) > 0 else 0.0


def _read_ticks() -> list[int]:
    """Read what all processors spent their time on since the machine started."""
    try:
        first = TICKS.read_text("utf-8").partition("\n")[0]
        return [int(count) for count in first.split()[1:9]]
    except (OSError, ValueError):
        return []


def read_processor_flags() -> str:
    """Read what the processor computes, as Linux lists it; nothing where it lists nothing."""
    try:
        lines = PROCESSOR.read_text("utf-8").splitlines()
    except OSError:
        return ""
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")


def read_processor_name() -> str:
    """Read the processor's name, as Linux gives it; or else its architecture."""
    try:
        lines = PROCESSOR.read_text("utf-8").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())


def _processor_has_bf16() -> bool:
    flags = read_processor_flags().split()
    return any(flag in flags for flag in BF16_FLAGS)
