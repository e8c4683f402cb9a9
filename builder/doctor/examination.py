"""The list of checks, and their findings."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

from rich.text import Text

from builder.doctor import daemon, hardware, software, storage, suitability
from builder.doctor.finding import Finding, Verdict
from builder.escapes import escape
from builder.terminal.console import Console

CHECKS: tuple[ModuleType, ...] = (hardware, software, daemon, storage, suitability)
STYLES: dict[Verdict, str] = {"ok": "green", "warning": "yellow", "problem": "bold red"}
SUBJECT_WIDTH = 18


def examine() -> Iterator[Finding]:
    """Run all checks, in order."""
    for check in CHECKS:
        yield from check.judge(check.find())


def show(finding: Finding, console: Console) -> None:
    """Print a finding, with its advice below."""
    console.page.print(
        Text.assemble(
            (f"{finding.verdict:<9}", STYLES[finding.verdict]),
            (f"{escape(finding.subject):<{SUBJECT_WIDTH}} ", "bold"),
            escape(finding.told),
        )
    )
    if finding.advice:
        console.page.print(Text(f"{'':<9}{'':<{SUBJECT_WIDTH}} {escape(finding.advice)}", "cyan"))
