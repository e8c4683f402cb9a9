"""Writes durations: measured ones exactly, and forecasts roughly."""

from __future__ import annotations

MINUTE_S, HOUR_S = 60, 3600


def duration(seconds: float) -> str:
    """Write a measured duration: 4s, 2m48s, 1h02m."""
    whole = round(seconds)
    if whole < MINUTE_S:
        return f"{whole}s"
    if whole < HOUR_S:
        return f"{whole // 60}m{whole % 60:02}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02}m"


def roughly(seconds: float) -> str:
    """Write a forecast duration, rounded: 5 s, 1m30, 3 min, 1h10."""
    if seconds < 55:
        return f"{max(5, 5 * round(seconds / 5))} s"
    if seconds < 585:
        minutes, half = divmod(max(2, round(seconds / 30)), 2)
        return f"{minutes}m30" if half else f"{minutes} min"
    if seconds < HOUR_S - 30:
        return f"{round(seconds / 60)} min"
    hours, tens = divmod(round(seconds / 600), 6)
    return f"{hours}h{tens * 10:02}"
