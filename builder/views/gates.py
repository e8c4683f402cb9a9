"""The output of `gates`."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from builder.escapes import escape
from builder.evaluation.report import Report
from builder.terminal.console import Console

VERDICT_STYLES = {
    "pass": "green",
    "fail": "bold red",
    "not enough evidence": "yellow",
    "does not apply": "dim",
    "off": "dim",
}


def show(report: Report, console: Console) -> None:
    """Print the table of the gates, with the base's figures."""
    table = Table(
        "gate", "verdict", "right", "95 % interval", "base", "note", box=None, pad_edge=False
    )
    for finding in report.gates:
        low, high = finding.interval
        is_counted, base = bool(finding.of), finding.baseline_right
        table.add_row(
            Text(escape(finding.gate.replace("_", " "))),
            Text(finding.verdict, VERDICT_STYLES[finding.verdict]),
            f"{finding.right} of {finding.of}" if is_counted else "",
            f"{low:.0%} to {high:.0%}" if is_counted else "",
            "" if base is None else f"{base} of {finding.of}",
            Text(escape(finding.note)),
        )
    console.page.print(table)
