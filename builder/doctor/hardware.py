"""Checks the GPU, the CPU, the memory and the disks."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from builder import cpu, files, machine
from builder.bases import hub
from builder.doctor.finding import Finding, accept, format_bytes, refuse, warn
from builder.machine import Gpu, Machine

NAME = "machine"
FEATURES = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "sve", "bf16")
# The disk space and the memory that a build with the embedded base needs.
LEAST_DISK_BYTES, LEAST_MEMORY_BYTES = 1_000_000_000, 3_000_000_000
# The share of the GPU's memory that may be in use, as by a desktop and the driver.
MOST_TAKEN = 0.2


@dataclass(frozen=True, kw_only=True)
class Disk:
    """The free space of a folder."""

    use: str
    path: str
    free_bytes: int
    is_written: bool = True
    """Whether files can be written in it."""


@dataclass(frozen=True, kw_only=True)
class Hardware:
    """The hardware of a machine."""

    machine: Machine
    gpu: Gpu | None
    cpu: str
    cores: int
    features: tuple[str, ...]
    memory_bytes: int
    """The memory that this process may use, which a container can limit."""
    disks: tuple[Disk, ...]


def find() -> Hardware:
    """Read the hardware of this machine."""
    flags = cpu.read_flags().split()
    return Hardware(
        machine=machine.find_machine(),
        gpu=machine.inspect_gpu(),
        cpu=cpu.read_name(),
        cores=cpu.count_cores(),
        features=tuple(name for name in FEATURES if name in flags),
        memory_bytes=cpu.find_memory_bytes(),
        disks=tuple(_look_at_disks()),
    )


def judge(found: Hardware) -> Iterator[Finding]:
    """Judge the hardware of a machine."""
    yield _judge_gpu(found)
    yield _judge_cpu(found)
    yield _judge_memory(found)
    for disk in found.disks:
        yield _judge_disk(disk)


def _judge_gpu(found: Hardware) -> Finding:
    gpu = found.gpu
    if found.machine.refused:
        return refuse("gpu", found.machine.refused, found.machine.refused_hint)
    if found.machine.kind == "cpu" or gpu is None:
        return accept("gpu", "none that the driver shows; the CPU trains")
    told = (
        f"{gpu.name}, compute capability {_write(gpu.capability)}, "
        f"{format_bytes(gpu.free_bytes)} of {format_bytes(gpu.memory_bytes)} free, "
        f"driver {gpu.driver} for CUDA {_write(gpu.cuda)}"
    )
    taken_bytes = gpu.memory_bytes - gpu.free_bytes
    if taken_bytes > MOST_TAKEN * gpu.memory_bytes:
        holders = ", ".join(map(str, gpu.processes))
        by = f"process {holders}" if holders else "other processes"
        told += f"; {format_bytes(taken_bytes)} are held by {by}"
        return warn("gpu", told, "end what else uses the GPU (`nvidia-smi`), or take another one")
    return accept("gpu", told)


def _judge_cpu(found: Hardware) -> Finding:
    features = ", ".join(found.features) or "no feature that training uses"
    cores = "1 core" if found.cores == 1 else f"{found.cores} cores"
    told = f"{found.cpu}, {cores}, {features}"
    is_training = found.machine.kind == "cpu"
    if is_training and not found.machine.has_bf16:
        told += "; it computes no bfloat16, so training is in float32"
    if is_training and found.cores < 2:
        return warn("cpu", told, "give it two cores or more: training waits for them")
    return accept("cpu", told)


def _judge_memory(found: Hardware) -> Finding:
    told = format_bytes(found.memory_bytes)
    if found.memory_bytes < LEAST_MEMORY_BYTES:
        least = format_bytes(LEAST_MEMORY_BYTES)
        told += f", expected {least} for the embedded base"
        return refuse("memory", told, "use a machine, or a container, with more memory")
    return accept("memory", told)


def _judge_disk(disk: Disk) -> Finding:
    subject, told = f"disk: {disk.use}", f"{format_bytes(disk.free_bytes)} free in {disk.path}"
    if not disk.is_written:
        return refuse(
            subject,
            f"{disk.path} cannot be written, expected a writable folder",
            "make it writable",
        )
    if disk.free_bytes < LEAST_DISK_BYTES:
        told += f", expected {format_bytes(LEAST_DISK_BYTES)}"
        return refuse(subject, told, "free some disk; the sizes of the caches are below")
    return accept(subject, told)


def _write(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"


def _look_at_disks() -> Iterator[Disk]:
    for use, folder in (
        ("project", Path.cwd()),
        ("cache", files.cache_folder()),
        ("hub", hub.read_settings().cache),
        ("temporary", Path(tempfile.gettempdir())),
    ):
        existing = next(path for path in (folder, *folder.absolute().parents) if path.is_dir())
        yield Disk(
            use=use,
            path=str(folder),
            free_bytes=shutil.disk_usage(existing).free,
            is_written=os.access(existing, os.W_OK | os.X_OK),
        )
