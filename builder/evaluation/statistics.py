"""Statistics of the gates: intervals, a paired test, and verdicts that allow for chance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, stdev
from typing import Literal

Verdict = Literal["pass", "fail", "not enough evidence", "does not apply", "off"]
Z_95 = 1.959964  # the normal distribution's two-sided 95 % point
SIGNIFICANT = 0.05
# With fewer answers, intervals are too wide for a verdict.
LEAST_ANSWERS = 8


def wilson(right: int, of: int) -> tuple[float, float]:
    """Compute the 95 % interval of a share.

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
    """Compute the two-sided probability that such a difference in solved tasks is chance.

    Args:
        only_base: Number of tasks that only the base solves.
        only_persona: Number of tasks that only the persona solves.

    Source:
        McNemar's test, exact: a sign test of the tasks on which the two disagree.

    """
    disagreed = only_base + only_persona
    if not disagreed:
        return 1.0
    tail = sum(math.comb(disagreed, k) for k in range(min(only_base, only_persona) + 1))
    return min(1.0, 2 * float(tail) / float(2**disagreed))


def judge_share(right: int, of: int, limit: float) -> Verdict:
    """Compare a share with its lower limit; it fails only if chance does not explain it."""
    if of and right / of < limit and wilson(right, of)[1] < limit:
        return "fail"
    return "pass" if of >= LEAST_ANSWERS and right / of >= limit else "not enough evidence"


def difference_interval(right: Sequence[bool], baseline: Sequence[bool]) -> tuple[float, float]:
    """Compute the 95 % interval of a paired difference: the persona's share minus the base's.

    Source:
        A. Agresti and Y. Min, Simple improved confidence intervals for comparing matched
        proportions (2005): half an answer is added to each of the four cells.

    """
    of = len(right) + 2
    pairs = list(zip(right, baseline, strict=True))
    only_persona = sum(persona and not base for persona, base in pairs) + 0.5
    only_base = sum(base and not persona for persona, base in pairs) + 0.5
    middle = (only_persona - only_base) / of
    half = Z_95 * math.sqrt((only_persona + only_base) - (only_persona - only_base) ** 2 / of) / of
    return max(-1.0, middle - half), min(1.0, middle + half)


def mean_interval(values: Sequence[float]) -> tuple[float, float]:
    """Compute the 95 % interval of the mean of at least two values.

    Source:
        Student's t by its expansion around the normal distribution, Abramowitz and Stegun,
        Handbook of Mathematical Functions, 26.7.5, to the second term.

    """
    mean, freedom = fmean(values), len(values) - 1
    t = Z_95 + (Z_95**3 + Z_95) / (4 * freedom)
    t += (5 * Z_95**5 + 16 * Z_95**3 + 3 * Z_95) / (96 * freedom**2)
    half = t * stdev(values) / math.sqrt(len(values))
    return mean - half, mean + half


def judge_greatest(values: Sequence[float], limit: float) -> Verdict:
    """Compare a mean with its upper limit; it fails only if chance does not explain it."""
    if len(values) < LEAST_ANSWERS:
        return "not enough evidence"
    if fmean(values) <= limit:
        return "pass"
    return "fail" if mean_interval(values)[0] > limit else "not enough evidence"
