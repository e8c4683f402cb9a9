"""The output of `gates`."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from builder.escapes import escape
from builder.evaluation import tally
from builder.evaluation.report import Report
from builder.terminal.console import Console

VERDICT_STYLES = {
    "pass": "green",
    "fail": "bold red",
    "fail (advice)": "yellow",
    "not enough evidence": "yellow",
    "does not apply": "dim",
    "off": "dim",
}
# With fewer columns, notes would be a word a line.
WIDE_COLUMNS = 110


def show(report: Report, console: Console) -> None:
    """Print the table of the gates, with the base's figures.

    On a narrow screen the interval and the base's figure make room for the notes.
    """
    is_wide = console.page.width >= WIDE_COLUMNS
    compared = ("95 % interval", "base") if is_wide else ()
    table = Table("gate", "verdict", "right", *compared, "note", box=None, pad_edge=False)
    for finding in report.gates:
        low, high = finding.interval
        is_counted, base = bool(finding.of), finding.baseline_right
        interval = f"{low:.0%} to {high:.0%}" if is_counted else ""
        table.add_row(
            Text(escape(finding.gate.replace("_", " "))),
            Text(told := tally.describe(finding.verdict, finding.mode), VERDICT_STYLES[told]),
            f"{finding.right} of {finding.of}" if is_counted else "",
            *((interval, "" if base is None else f"{base} of {finding.of}") if is_wide else ()),
            Text(escape("; ".join(filter(None, (finding.note, finding.describe_missed()))))),
        )
    console.page.print(table)
