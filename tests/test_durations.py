"""Durations are written as a person would write them."""

import pytest

from builder.durations import duration, roughly


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (59.4, "59s"), (59.6, "1m00s"), (168, "2m48s"), (3720, "1h02m")],
)
def test_a_measured_duration(seconds, text):
    """Seconds, then minutes with seconds, then hours with minutes."""
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "5 s"),
        (38, "40 s"),
        (58, "1 min"),
        (88, "1m30"),
        (173, "3 min"),
        (584, "9m30"),
        (586, "10 min"),
        (3500, "58 min"),
        (3590, "1h00"),
        (4300, "1h10"),
        (7150, "2h00"),
    ],
)
def test_a_foreseen_duration_is_round(seconds, text):
    """Nothing is told more exactly than it is known, and no unit overflows into the next."""
    assert roughly(seconds) == text
