"""How many gates passed, failed and could not be judged, counted and told in one place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Tally:
    """The gates of an examination, counted."""

    passed: int
    failed: tuple[str, ...]
    """By name, those that stop a build; `smoke` stands for the manifest's own questions."""
    advised: int
    """Gates that failed, and stop nothing."""
    unsure: int
    """Gates without enough evidence."""

    def describe(self) -> str:
        """Tell it in words."""
        parts = [f"{self.passed} passed"]
        parts += [f"failed: {' and '.join(self.failed)}"] if self.failed else []
        parts += [f"{self.advised} failed as advice"] if self.advised else []
        parts += [f"{self.unsure} without enough evidence"] if self.unsure else []
        return ", ".join(parts)


def count(gates: Iterable[tuple[object, object]], failed: Sequence[str]) -> Tally:
    """Count gates.

    Args:
        gates: The verdict and the mode of each.
        failed: What stops the build.

    """
    judged = list(gates)
    verdicts = [verdict for verdict, _ in judged]
    return Tally(
        passed=verdicts.count("pass"),
        failed=tuple(failed),
        advised=judged.count(("fail", "advice")),
        unsure=verdicts.count("not enough evidence"),
    )
