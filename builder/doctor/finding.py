"""One line of `persona doctor`: what is there, whether it will do, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one check found."""

    subject: str
    verdict: Verdict
    """A problem keeps a build from finishing."""
    told: str
    advice: str = ""
    """What to do, where the verdict is not ok."""


def accept(subject: str, told: str) -> Finding:
    """Say that something will do."""
    return Finding(subject=subject, verdict="ok", told=told)


def warn(subject: str, told: str, advice: str) -> Finding:
    """Say that a build finishes, but slower or with less than it could."""
    return Finding(subject=subject, verdict="warning", told=told, advice=advice)


def refuse(subject: str, told: str, advice: str) -> Finding:
    """Say that a build would not finish."""
    return Finding(subject=subject, verdict="problem", told=told, advice=advice)


def format_bytes(size_bytes: float) -> str:
    """Write a size in the unit of disks and of `just bases`."""
    return f"{size_bytes / 1e9:.1f} GB"
