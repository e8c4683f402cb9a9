"""Counts the gates that passed, failed and could not judge."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Tally:
    """The counted gates of an examination."""

    passed: int
    failed: tuple[str, ...]
    """The names of those that stop the build; `smoke` means the manifest's own questions."""
    advised: int
    """Gates that failed but stop nothing."""
    unsure: int
    """Gates without enough evidence."""

    def describe(self) -> str:
        """Write the counts in words."""
        parts = [f"{self.passed} passed"]
        parts += [f"failed: {' and '.join(self.failed)}"] if self.failed else []
        parts += [f"{self.advised} failed as advice"] if self.advised else []
        parts += [f"{self.unsure} without enough evidence"] if self.unsure else []
        return ", ".join(parts)


def describe(verdict: str, mode: str) -> str:
    """Describe a verdict; of a failure that stops nothing, that it is advice."""
    return "fail (advice)" if (verdict, mode) == ("fail", "advice") else verdict


def count(gates: Iterable[tuple[object, object]], failed: Sequence[str]) -> Tally:
    """Count gates.

    Args:
        gates: The verdict and the mode of each gate.
        failed: The names of those that stop the build.

    """
    judged = list(gates)
    verdicts = [verdict for verdict, _ in judged]
    return Tally(
        passed=verdicts.count("pass"),
        failed=tuple(failed),
        advised=judged.count(("fail", "advice")),
        unsure=verdicts.count("not enough evidence"),
    )
