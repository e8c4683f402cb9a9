"""The CPU of this machine: its memory, usable cores, features and load."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterator
from pathlib import Path

CPU_INFO = Path("/proc/cpuinfo")
# The times of all CPUs (man 5 proc), and how long the load is measured.
TICKS, BUSY_MOMENT_S = Path("/proc/stat"), 0.1
# The cgroups of this process and the files of their limits, set by a container or a batch system
# (Linux, man 7 cgroups; Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst).
GROUPS, GROUP_LIMITS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")
# With hardware bfloat16, a training step on two cores takes 0.6 of the time (benchmarks/train.py).
BF16_FLAGS = ("avx512_bf16", "amx_bf16")


def find_memory_bytes() -> int:
    """Find the memory of this machine or container; 0 if it is not known."""
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
    """List the files that may limit this process's memory: those of its cgroup and its parents.

    In a container, the cgroup may have its name outside: then only the outermost file exists.
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
    """Count the cores that this process may use, which `taskset` or a container can limit."""
    if hasattr(os, "sched_getaffinity"):  # macOS has none
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def measure_busy_share() -> float:
    """Measure the share of the CPU that is in use at the moment.

    It is 0 if the system does not tell.
    """
    before = _read_ticks()
    time.sleep(BUSY_MOMENT_S)
    spent = [after - first for first, after in zip(before, _read_ticks(), strict=False)]
    idle = sum(spent[3:5])  # the ticks of waiting for work and for a disk (man 5 proc)
    return 1 - idle / sum(spent) if sum(spent) > 0 else 0.0


def _read_ticks() -> list[int]:
    """Read the times of all CPUs since the machine was started."""
    try:
        first = TICKS.read_text("utf-8").partition("\n")[0]
        return [int(count) for count in first.split()[1:9]]
    except (OSError, ValueError):
        return []


def read_flags() -> str:
    """Read the features of the CPU, as Linux lists them; "" if it does not."""
    try:
        lines = CPU_INFO.read_text("utf-8").splitlines()
    except OSError:
        return ""
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")


def read_name() -> str:
    """Read the name of the CPU, or else its architecture."""
    try:
        lines = CPU_INFO.read_text("utf-8").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())


def has_bf16() -> bool:
    """Say whether the CPU supports bfloat16 in hardware."""
    flags = read_flags().split()
    return any(flag in flags for flag in BF16_FLAGS)
