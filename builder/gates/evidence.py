"""How much a count proves: intervals, a paired test, and the three verdicts."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

Verdict = Literal["pass", "fail", "not enough evidence", "does not apply"]
Z_95 = 1.959964  # the normal distribution's two-sided 95 % point
SIGNIFICANT = 0.05
# Under this many answers an interval is wider than any limit worth having.
LEAST_ANSWERS = 8


@dataclass(frozen=True)
class Result:
    """What one gate found, with the base's figure beside it."""

    gate: str
    verdict: Verdict
    right: int = 0
    of: int = 0
    control_right: int | None = None
    limit: float | None = None
    """The least share that must be right, or the greatest figure of the note."""
    note: str = ""
    figures: dict[str, Any] = field(default_factory=dict)

    @property
    def interval(self) -> tuple[float, float]:
        """The share's 95 % interval."""
        return wilson(self.right, self.of)


def wilson(right: int, of: int) -> tuple[float, float]:
    """Give the 95 % interval of a share.

    Source:
        E. B. Wilson, Probable inference, the law of succession, and statistical inference (1927).

    """
    if not of:
        return 0.0, 1.0
    share, square = right / of, Z_95**2 / of
    middle = (share + square / 2) / (1 + square)
    half = Z_95 * math.sqrt(share * (1 - share) / of + square / of / 4) / (1 + square)
    return max(0.0, middle - half), min(1.0, middle + half)


def paired_p(only_base: int, only_persona: int) -> float:
    """Give the probability that so many tasks only the base solves are chance, two-sided.

    Args:
        only_base: Tasks the base solves and the persona does not.
        only_persona: The other way round.

    Source:
        McNemar's test, exact: a sign test of the tasks on which the two disagree.

    """
    disagreed = only_base + only_persona
    if not disagreed:
        return 1.0
    tail = sum(math.comb(disagreed, k) for k in range(min(only_base, only_persona) + 1))
    return min(1.0, 2 * float(tail) / float(2**disagreed))


def judge_share(right: int, of: int, limit: float) -> Verdict:
    """Hold a share against the least it should be: it fails only where chance cannot explain it."""
    if of and right / of < limit and wilson(right, of)[1] < limit:
        return "fail"
    return "pass" if of >= LEAST_ANSWERS and right / of >= limit else "not enough evidence"
