"""Intervals, tests and verdicts of counts and means."""

import pytest

from builder.evaluation import statistics
from builder.evaluation.statistics import judge_share, paired_p, wilson


def test_an_interval_is_wilsons():
    """The interval of 19 of 20 is the one of the textbook, and none is from 0 to 1."""
    assert wilson(19, 20) == pytest.approx((0.7639, 0.9911), abs=1e-3)
    assert wilson(0, 0) == (0.0, 1.0)


def test_a_paired_test_counts_disagreements():
    """Five of five disagreements for the base are chance, six are not; agreement proves nothing."""
    assert paired_p(5, 0) == pytest.approx(0.0625)
    assert paired_p(6, 0) < statistics.SIGNIFICANT
    assert paired_p(0, 0) == 1.0


@pytest.mark.parametrize(
    ("right", "of", "verdict"),
    [
        (39, 40, "pass"),
        (35, 40, "not enough evidence"),
        (20, 40, "fail"),
        (3, 3, "not enough evidence"),
        (0, 0, "not enough evidence"),
    ],
)
def test_a_share_fails_only_beyond_chance(right, of, verdict):
    """An interval that reaches the limit does not fail, and a handful of answers is too few."""
    assert judge_share(right, of, 0.9) == verdict


def test_nothing_wrong_is_never_a_failure():
    """All of eighty right passes a limit of one, whatever the rounding; one wrong does not."""
    assert judge_share(80, 80, 1.0) == "pass"
    assert judge_share(79, 80, 1.0) == "fail"


def test_a_mean_fails_beyond_chance():
    """Student's interval of five values is the textbook's; seven values are too few to judge."""
    assert statistics.mean_interval([1.0, 2.0, 3.0, 4.0, 5.0]) == pytest.approx(
        (1.037, 4.963), abs=0.05
    )
    assert statistics.judge_greatest([9.0] * 7, 1.0) == "not enough evidence"


def test_the_difference_of_two_shares_has_an_interval():
    """Ten of ten against none of ten is surely better; the same answers differ by nothing."""
    low, high = statistics.difference_interval([True] * 10, [False] * 10)
    assert 0.4 < low < high <= 1.0
    low, high = statistics.difference_interval([True, False] * 5, [True, False] * 5)
    assert low < 0 < high
