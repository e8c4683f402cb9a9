"""What training a base takes of a machine's memory, told before its weights are fetched."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from builder.bases.base import Base
from builder.bases.families import FAMILIES
from builder.bases.family import (
    FIXED_MEMORY_BYTES,
    MEMORY_BYTES_PER_PARAMETER,
    NF4_BYTES_PER_WEIGHT,
    Repository,
)
from builder.errors import ToolError
from builder.machine import Machine

SMALL = "Qwen/Qwen3-0.6B"
HINT = f"take a smaller base, such as {SMALL}, or a machine with more memory"


@dataclass(frozen=True, kw_only=True)
class Need:
    """Bytes of memory, estimated."""

    weights: int
    beside: int
    """The adapter, its gradients and optimiser, and activations."""

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.beside

    def describe(self) -> str:
        """Say it in a few words."""
        return f"about {self.total / 1e9:.1f} GB of memory ({self.weights / 1e9:.1f} GB of weights)"


def estimate(chosen: Base, machine: Machine) -> Need | None:
    """Estimate what training takes; None where the base's size is not known."""
    known = _find_repository(chosen.source)
    parameters = known.parameters if known else _count_parameters(chosen)
    if not parameters:
        return None
    embedding = known.embedding_parameters if known else 0
    beside = FIXED_MEMORY_BYTES + round(MEMORY_BYTES_PER_PARAMETER * parameters)
    return Need(weights=_measure(parameters, embedding, chosen, machine), beside=beside)


def check(source: str, need: Need, has_bytes: int) -> str | None:
    """Refuse a base whose weights alone are more than the memory, and warn of one that is near.

    Args:
        source: The base as it was asked for.
        need: What training takes.
        has_bytes: The machine's memory, of the GPU where one is trained on.

    Returns:
        A warning, or None.

    Raises:
        ToolError: The weights do not fit.

    """
    needs = f"{source}: training needs {need.describe()}"
    there = f"the {has_bytes / 1e9:.1f} GB that are here"
    if need.weights > has_bytes:
        raise ToolError(f"{needs}, expected at most {there}", hint=HINT)
    return f"{needs}, more than {there}" if need.total > has_bytes else None


def _find_repository(source: str) -> Repository | None:
    every = (repository for family in FAMILIES for repository in family.repositories)
    named = (item for item in every if source.casefold() == item.name.casefold())
    return next(named, None)


def _count_parameters(chosen: Base) -> int:
    """Count the parameters of a folder's weights, as if all were of 16 bit."""
    if chosen.kind != "folder":
        return 0
    folder = Path(chosen.source).expanduser()
    return sum(path.stat().st_size for path in folder.glob("*.safetensors")) // 2


def _measure(parameters: int, embedding: int, chosen: Base, machine: Machine) -> int:
    if machine.kind == "cpu":  # bfloat16 where the processor computes it, else float32
        return parameters * (2 if machine.has_bf16 else 4)
    if not chosen.four_bit:
        return 2 * parameters
    return round(NF4_BYTES_PER_WEIGHT * (parameters - embedding)) + 2 * embedding
