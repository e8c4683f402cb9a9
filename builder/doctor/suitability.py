"""Checks what a build uses on this machine, and which families of bases fit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from builder import machine
from builder.bases import base, families
from builder.bases.family import Family, Repository
from builder.doctor import hardware
from builder.doctor.finding import Finding, accept, format_bytes, refuse, warn
from builder.gguf import quantisation
from builder.machine import Machine
from builder.manifest import manifest

NAME = "bases"


@dataclass(frozen=True, kw_only=True)
class Room:
    """The machine, its memory and its disk."""

    machine: Machine
    memory_bytes: int
    """The memory of the GPU, or of the machine without one."""
    free_bytes: int
    """The free memory."""
    disk_bytes: int
    """The free space for builds."""


def find() -> Room:
    """Find the machine's memory and disk."""
    gpu, found = machine.inspect_gpu(), hardware.find()
    is_gpu = found.machine.kind == "gpu" and gpu is not None
    return Room(
        machine=found.machine,
        memory_bytes=gpu.memory_bytes if is_gpu and gpu else found.memory_bytes,
        free_bytes=gpu.free_bytes if is_gpu and gpu else found.memory_bytes,
        disk_bytes=next(disk.free_bytes for disk in found.disks if disk.use == "project"),
    )


def judge(found: Room) -> Iterator[Finding]:
    """Judge the default base, and each family."""
    yield from _judge_default(found)
    for family in families.FAMILIES:
        if family.repositories:
            yield _judge_family(found, family)


def count_memory(found: Room, family: Family, repository: Repository) -> int:
    """Estimate the memory, in bytes, that training a repository needs."""
    if found.machine.kind == "gpu":
        four_bit = family.advises_four_bit(repository.parameters)
        return repository.memory_bytes(four_bit=four_bit)
    return repository.cpu_memory_bytes(has_bf16=found.machine.has_bf16)


def _judge_default(found: Room) -> Iterator[Finding]:
    wanted, here = manifest.Base(), found.machine
    if here.kind == "gpu":
        source, why = wanted.gpu, "the manifest's `gpu` base, since a GPU is here"
    else:
        source, why = wanted.cpu, "the manifest's `cpu` base, since no GPU is used"
    family, repository = _find_repository(source)
    four_bit = here.kind == "gpu" and family.advises_four_bit(repository.parameters)
    bits = "4 bit (QLoRA)" if four_bit else ""
    bits = bits or ("32 bit" if here.compute_type == "float32" else "16 bit")
    told = f"{source}, {why}; weights in {bits}, computed in {here.compute_type}"
    need_bytes = count_memory(found, family, repository)
    disk_bytes = quantisation.DEFAULT.count_room_bytes(repository.size_bytes)
    if need_bytes > found.memory_bytes:
        told += f"; it takes {format_bytes(need_bytes)} of memory"
        yield refuse("used", told, "take a smaller base of the list below: --base owner/name")
    elif need_bytes > found.free_bytes:
        told += f"; it takes {format_bytes(need_bytes)} of memory, and "
        told += f"{format_bytes(found.free_bytes)} are free"
        yield warn("used", told, "end what else uses the GPU, or take a smaller base: --base")
    elif disk_bytes > found.disk_bytes:
        told += f"; its export takes {format_bytes(disk_bytes)} of disk"
        yield refuse("used", told, "free some disk, or take a smaller base: --base owner/name")
    else:
        yield accept("used", told)


def _find_repository(source: str) -> tuple[Family, Repository]:
    """Find the record of a default base, also for a copy of it."""
    name = source.rpartition("/")[2].casefold()
    return next(
        (family, repository)
        for family in families.FAMILIES
        for repository in family.repositories
        if repository.name.rpartition("/")[2].casefold() == name
    )


def _judge_family(found: Room, family: Family) -> Finding:
    needs = sorted((count_memory(found, family, one), one.name) for one in family.repositories)
    fitting = [need for need in needs if need[0] <= found.memory_bytes]
    larger = [need for need in needs if need[0] > found.memory_bytes]
    too_large = f"too large: {', '.join(map(_describe, larger))}" if larger else ""
    if not fitting:
        advice = "take another family, or a larger machine"
        return warn(family.name, f"{too_large} of {format_bytes(found.memory_bytes)}", advice)
    fits = f"fits: {', '.join(map(_describe, fitting))}"
    return accept(family.name, "; ".join(filter(None, (fits, too_large))))


def _describe(need: tuple[int, str]) -> str:
    name = need[1].rpartition("/")[2]
    return f"{base.EMBEDDED if name.casefold() == base.EMBEDDED else name} {format_bytes(need[0])}"
