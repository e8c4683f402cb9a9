"""A finding of `persona doctor`: a subject, a verdict, and advice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A finding of a check."""

    subject: str
    verdict: Verdict
    """`problem` if a build could not finish."""
    told: str
    advice: str = ""
    """What to do, unless the verdict is ok."""


def accept(subject: str, told: str) -> Finding:
    """Make a finding that something is fine."""
    return Finding(subject=subject, verdict="ok", told=told)


def warn(subject: str, told: str, advice: str) -> Finding:
    """Make a finding that a build is slower, or has less than it could."""
    return Finding(subject=subject, verdict="warning", told=told, advice=advice)


def refuse(subject: str, told: str, advice: str) -> Finding:
    """Make a finding that a build could not finish."""
    return Finding(subject=subject, verdict="problem", told=told, advice=advice)


def format_bytes(size_bytes: float) -> str:
    """Write a size in GB, as for disks and in `just bases`."""
    return f"{size_bytes / 1e9:.1f} GB"
