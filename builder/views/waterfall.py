"""The output of `why --times`: the last run of each stage, and the pieces of its work."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from builder.durations import duration
from builder.engine import stamps
from builder.engine.spans import Span
from builder.engine.stage import Build, Stage
from builder.escapes import escape
from builder.terminal.console import Console

# On narrower terminals no bars are drawn.
NARROW_WIDTH = 60
# Pieces that took a smaller share have no line of their own.
LEAST_SHARE = 0.005


@dataclass(frozen=True, kw_only=True)
class StageTime:
    """The time of one stage, which begins when the previous one ends."""

    stage: str
    began_s: float
    took_s: float
    spans: tuple[Span, ...]

    def list_parts(self) -> Iterator[tuple[Span, float]]:
        """List its pieces of work, and when each began, followed by the rest of the time."""
        began_s = self.began_s
        for span in self.spans:
            yield span, began_s
            began_s += span.took_s


def read(build: Build, stages: Sequence[Stage]) -> list[StageTime]:
    """Read the times of the stages from their stamps."""
    times: list[StageTime] = []
    began_s = 0.0
    for stage in stages:
        stamp = stamps.read(build.folder, stage.NAME)
        if stamp is None or stamp.took_s is None:
            continue
        times.append(
            StageTime(stage=stage.NAME, began_s=began_s, took_s=stamp.took_s, spans=stamp.spans)
        )
        began_s += stamp.took_s
    return times


def show(times: Sequence[StageTime], console: Console, *, as_json: bool) -> None:
    """Print times as a waterfall, or as one JSON object."""
    total_s = sum(time.took_s for time in times)
    if as_json:
        stages = [
            {
                "stage": time.stage,
                "began_s": round(time.began_s, 2),
                "took_s": time.took_s,
                "spans": [span.model_dump() for span in time.spans],
            }
            for time in times
        ]
        console.print_json({"total_s": round(total_s, 2), "stages": stages})
        return
    _draw(times, total_s, console)


def _draw(times: Sequence[StageTime], total_s: float, console: Console) -> None:
    from rich.bar import Bar  # noqa: PLC0415 — with the table
    from rich.table import Table  # noqa: PLC0415 — takes a while to import
    from rich.text import Text  # noqa: PLC0415 — with the table

    has_bars = console.page.width >= NARROW_WIDTH and console.page.is_terminal
    table = Table(box=None, pad_edge=False, show_header=False, expand=has_bars)
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    if has_bars:
        table.add_column(ratio=1)

    def add(name: str, began_s: float, took_s: float, style: str, colour: str) -> None:
        cells: list[Text | Bar] = [Text(escape(name), style), Text(_format(took_s), style)]
        if has_bars:
            cells.append(Bar(total_s or 1.0, began_s, began_s + took_s, color=colour))
        table.add_row(*cells)

    for time in times:
        add(time.stage, time.began_s, time.took_s, "bold", "cyan")
        for span, began_s in time.list_parts():
            if span.took_s >= LEAST_SHARE * total_s:
                add(f"  {span.what}", began_s, span.took_s, "", "blue")
    table.add_row(Text("in all", "bold"), Text(_format(total_s), "bold"))
    console.page.print(table)


def _format(seconds: float) -> str:
    return f"{seconds:.1f}s" if seconds < 10 else duration(seconds)
