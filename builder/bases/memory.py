"""Estimates the memory that training a base needs, before its weights are fetched.

builder/training/footprint.py is more exact, but needs the weights and the rows. Tests compare both
with measurements of a 4B.
"""

from __future__ import annotations

from dataclasses import dataclass

from builder.bases.base import Base
from builder.bases.families import FAMILIES
from builder.bases.family import Repository
from builder.bases.sizes import Sizes
from builder.errors import ToolError
from builder.machine import Machine

SMALL = "Qwen/Qwen3-0.6B"
HINT = f"take a smaller base, such as {SMALL}, or a machine with more memory"


@dataclass(frozen=True, kw_only=True)
class Need:
    """Estimated bytes of memory."""

    weights: int
    beside: int
    """For the adapter, its gradients and optimiser, and activations."""

    @property
    def total(self) -> int:
        """The sum."""
        return self.weights + self.beside

    def describe(self) -> str:
        """Write it in a few words."""
        return f"about {self.total / 1e9:.1f} GB of memory ({self.weights / 1e9:.1f} GB of weights)"


def estimate(chosen: Base, machine: Machine, sizes: Sizes | None) -> Need | None:
    """Estimate the memory that training needs.

    Args:
        chosen: The base.
        machine: The machine.
        sizes: The sizes in its config.json, for a base that is not in the table.

    Returns:
            None if the size is not known.

    """
    of = _find_repository(chosen.source) or _make_repository(chosen.source, sizes)
    if of is None:
        return None
    if machine.kind == "cpu":
        weights = of.cpu_size_bytes(has_bf16=machine.has_bf16)
    else:
        weights = of.four_bit_size_bytes if chosen.four_bit else of.size_bytes
    return Need(weights=weights, beside=of.training_bytes)


def check(source: str, need: Need, has_bytes: int) -> str | None:
    """Refuse a base whose weights do not fit into the memory; warn if training may not fit.

    Args:
        source: The base, for messages.
        need: The memory that training needs.
        has_bytes: The memory of the GPU or the machine.

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


def _make_repository(source: str, sizes: Sizes | None) -> Repository | None:
    if sizes is None:
        return None
    return Repository(
        name=source, parameters=sizes.weights, embedding_parameters=sizes.embedding_weights
    )
