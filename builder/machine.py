"""The machine: a GPU that torch can use, found without torch, or the CPU."""

from __future__ import annotations

import contextlib
import functools
import os
from dataclasses import dataclass, replace
from typing import Any, Literal

from builder import cpu

# PyPI's torch 2.10.0 is built for CUDA 12.8, its kernels from Volta (sm_70) on. Any driver of the
# same major version runs them (docs.nvidia.com/deploy/cuda-compatibility, "Minor Version
# Compatibility"): for CUDA 12 that is 525 or newer.
LOWEST_CAPABILITY, LOWEST_CUDA = (7, 0), (12, 0)
BF16_CAPABILITY = (8, 0)
ON_THE_CPU = "or build on the CPU with --base cpu"
# nvml.h, NVML_ERROR_LIB_RM_VERSION_MISMATCH: the driver was updated under a running kernel.
LIBRARY_DIFFERS = 18


@dataclass(frozen=True)
class Machine:
    """The GPU or CPU that the machine trains on."""

    kind: Literal["gpu", "cpu"]
    name: str
    has_bf16: bool
    """Whether bfloat16 is supported in hardware; torch also says yes on a T4, which emulates it."""
    refused: str = ""
    """Why the GPU of this machine cannot be used."""
    refused_hint: str = ""
    """What to do about it."""

    @property
    def compute_type(self) -> Literal["bfloat16", "float16", "float32"]:
        """The type that layers compute in; without bfloat16 float16 on a GPU, float32 on a CPU."""
        if self.has_bf16:
            return "bfloat16"
        return "float16" if self.kind == "gpu" else "float32"


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """What the driver says about a GPU at the moment."""

    name: str
    capability: tuple[int, int]
    cuda: tuple[int, int]
    """The newest version of CUDA that the driver supports."""
    driver: str
    memory_bytes: int
    free_bytes: int
    processes: tuple[int, ...]
    """The processes that compute on it, if the driver lists them."""


def find_device() -> str:
    """Name the GPU to use, the first in CUDA_VISIBLE_DEVICES; "" if that hides all."""
    first = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0].strip()
    return "" if first == "-1" else first


def select_gpu() -> None:
    """Let CUDA see the GPU that is used and no other, before torch is imported."""
    os.environ["CUDA_VISIBLE_DEVICES"] = find_device() if find_machine().kind == "gpu" else ""
    os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")  # the order of the driver's library


@functools.cache
def find_machine() -> Machine:
    """Find the GPU through the driver, without torch, or else the CPU."""
    import pynvml  # noqa: PLC0415 — loads the driver's library

    fallback = Machine("cpu", "no GPU here", cpu.has_bf16())
    index = find_device()
    if not index:
        return fallback
    try:
        pynvml.nvmlInit()
        device = _find_handle(pynvml, index)
        if device is None:
            return _refuse_device(fallback, index, int(pynvml.nvmlDeviceGetCount()))
        name = pynvml.nvmlDeviceGetName(device)
        capability = _read_capability(pynvml, device)
        cuda = _read_cuda(pynvml)
    except pynvml.NVMLError as error:
        return _explain_driver(fallback, error)
    for what, found, lowest, way in (
        ("has compute capability", capability, LOWEST_CAPABILITY, "take another GPU"),
        ("has a driver for CUDA", cuda, LOWEST_CUDA, "update NVIDIA's driver"),
    ):
        if found < lowest:
            return replace(
                fallback,
                name=name,
                refused=(
                    f"{name}: {what} {found[0]}.{found[1]}, expected {lowest[0]}.{lowest[1]} or "
                    "newer, which torch needs"
                ),
                refused_hint=f"{way} (on Kaggle choose the T4), {ON_THE_CPU}",
            )
    return Machine("gpu", name, capability >= BF16_CAPABILITY)


def inspect_gpu() -> Gpu | None:
    """Ask the driver about the GPU to use, with its free memory; None without a GPU."""
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
    """Find a GPU by its number, its UUID or the beginning of its UUID; None if there is none.

    A MIG slice has a UUID of its own.

    Source:
        CUDA C Programming Guide, "CUDA Environment Variables".
    """
    try:
        if index.isdecimal():
            return _find_slice(pynvml, pynvml.nvmlDeviceGetHandleByIndex(int(index)))
        return _find_slice(pynvml, pynvml.nvmlDeviceGetHandleByUUID(index))
    except pynvml.NVMLError:
        pass
    for number in range(pynvml.nvmlDeviceGetCount()):
        device = pynvml.nvmlDeviceGetHandleByIndex(number)
        if not index.isdecimal() and pynvml.nvmlDeviceGetUUID(device).startswith(index):
            return _find_slice(pynvml, device)
    return None


def _find_slice(pynvml: Any, device: Any) -> Any:
    """Give the first MIG slice of a GPU in MIG mode, which is what CUDA uses; else the GPU.

    Source:
        NVIDIA Multi-Instance GPU User Guide, "CUDA Device Enumeration".
    """
    try:
        most = pynvml.nvmlDeviceGetMaxMigDeviceCount(device)
    except pynvml.NVMLError:  # a slice itself, or a driver older than MIG
        return device
    for number in range(most):
        with contextlib.suppress(pynvml.NVMLError):  # this slice does not exist
            return pynvml.nvmlDeviceGetMigDeviceHandleByIndex(device, number)
    return device


def _read_capability(pynvml: Any, device: Any) -> tuple[int, int]:
    try:
        major, minor = pynvml.nvmlDeviceGetCudaComputeCapability(device)
    except pynvml.NVMLError:  # some drivers know it for the whole GPU only
        whole = pynvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(device)
        major, minor = pynvml.nvmlDeviceGetCudaComputeCapability(whole)
    return int(major), int(minor)


def _read_cuda(pynvml: Any) -> tuple[int, int]:
    return divmod(int(pynvml.nvmlSystemGetCudaDriverVersion_v2()) // 10, 100)  # 13020 is 13.2


def _list_processes(pynvml: Any, device: Any) -> tuple[int, ...]:
    try:
        found = pynvml.nvmlDeviceGetComputeRunningProcesses(device)
    except pynvml.NVMLError:
        return ()
    return tuple(sorted(int(process.pid) for process in found))


def _refuse_device(fallback: Machine, index: str, count: int) -> Machine:
    """Refuse a CUDA_VISIBLE_DEVICES that names none of the GPUs, if there are any."""
    if not count:
        return fallback
    numbers = "0" if count == 1 else f"a number from 0 to {count - 1}"
    return replace(
        fallback,
        refused=(
            f"CUDA_VISIBLE_DEVICES: begins with {index[:40]!r}, which names no GPU here, expected "
            f"{numbers} or a GPU's UUID"
        ),
        refused_hint=f"set it to a GPU of `nvidia-smi -L`, or unset it, {ON_THE_CPU}",
    )


def _explain_driver(fallback: Machine, error: Exception) -> Machine:
    """Refuse a GPU whose driver does not fit its library; without a driver there is no GPU."""
    if getattr(error, "value", None) != LIBRARY_DIFFERS:
        return fallback
    return replace(
        fallback,
        refused=(
            "NVIDIA's driver: its library is of another version than what the kernel has loaded, "
            "expected one version"
        ),
        refused_hint=f"restart the machine, {ON_THE_CPU}",
    )


def find_memory_bytes(machine: Machine) -> int:
    """Find the memory for training: the GPU's or the machine's."""
    gpu = inspect_gpu() if machine.kind == "gpu" else None
    return gpu.memory_bytes if gpu else cpu.find_memory_bytes()
