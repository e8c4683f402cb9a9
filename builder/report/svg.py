"""Draws charts as SVG without text: labels are outside, so that charts can be stretched.

Colours are classes in page.css. Charts fill the available width.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from markupsafe import Markup

from builder.report.texts import clean

# The coordinates of a chart, which the browser stretches.
WIDTH, LINE_HEIGHT, BAR_HEIGHT = 1000.0, 200.0, 28.0
# More points than columns of a screen would only make the page larger.
MOST_POINTS = 500
SMOOTHED_SHARE = 0.05
# The shortest bar of a stage, as a share of the whole.
LEAST_SPAN = 0.006
LABEL_CHARACTERS = 240

_CHART = Markup(
    '<svg class="{name}" viewBox="0 0 {width:g} {height:g}" preserveAspectRatio="none"'
    ' role="img" aria-label="{label}">{body}</svg>'
)
_RECTANGLE = Markup(
    '<rect class="{name}" x="{x:.1f}" y="{y:g}" width="{width:.1f}" height="{h:g}"/>'
)
_LINE = Markup('<path class="{name}" d="{path}"/>')


def draw_lines(values: Sequence[float], label: str, *, is_noisy: bool) -> Markup:
    """Draw values as a line; noisy ones as a thin line with their running mean on top."""
    top = max(values, default=0.0) or 1.0
    lines = [_LINE.format(name="axis", path=f"M0 {LINE_HEIGHT:g}H{WIDTH:g}")]
    if len(values) > 1:
        if is_noisy:
            lines.append(_LINE.format(name="each", path=_trace(values, top)))
        line = smooth(values) if is_noisy else values
        lines.append(_LINE.format(name="mean", path=_trace(line, top)))
    return _draw("lines", LINE_HEIGHT, label, lines)


def draw_share(
    share: float,
    interval: tuple[float, float],
    *,
    baseline: float | None,
    limit: float | None,
    is_good: bool,
    label: str,
) -> Markup:
    """Draw a share as a bar, with its interval, the baseline's share and the limit."""
    marks = [_RECTANGLE.format(name="track", x=0, y=2, width=WIDTH, h=24)]
    marks.append(_bar(share, is_good=is_good))
    low, high = (_across(end) for end in interval)
    # Drawn under the bar, so that it does not hide the end of the bar.
    path = f"M{low:.1f} 21H{high:.1f}M{low:.1f} 18V24M{high:.1f} 18V24"
    marks.append(_LINE.format(name="interval", path=path))
    return _draw("bar", BAR_HEIGHT, label, [*marks, *_mark(baseline, limit)])


def draw_measure(
    value: float, *, baseline: float | None, limit: float | None, is_good: bool, label: str
) -> Markup:
    """Draw a figure that should be small as a bar, with the baseline's figure and the limit."""
    most = max(abs(number) for number in (value, baseline or 0, limit or 0)) * 1.1 or 1.0
    scaled = (None if number is None else number / most for number in (baseline, limit))
    marks = [
        _RECTANGLE.format(name="track", x=0, y=2, width=WIDTH, h=24),
        _bar(max(0.0, value / most), is_good=is_good),
    ]
    return _draw("bar", BAR_HEIGHT, label, [*marks, *_mark(*scaled)])


def draw_span(start: float, length: float, label: str) -> Markup:
    """Draw the time of a stage, given its beginning and its length as shares of the whole."""
    # A stage without any time is still visible.
    length = max(length, LEAST_SPAN)
    x, width = _across(min(start, 1 - length)), _across(length)
    track = _RECTANGLE.format(name="track", x=0, y=2, width=WIDTH, h=24)
    span = _RECTANGLE.format(name="value", x=x, y=2, width=width, h=24)
    return _draw("bar span", BAR_HEIGHT, label, [track, span])


def smooth(values: Sequence[float]) -> list[float]:
    """Compute the running mean over a twentieth of the values, but at least 3."""
    window = max(3, round(len(values) * SMOOTHED_SHARE))
    sums = list(itertools.accumulate(values, initial=0.0))
    starts = (max(0, at - window) for at in range(1, len(sums)))
    return [(sums[at] - sums[first]) / (at - first) for at, first in enumerate(starts, 1)]


def _draw(name: str, height: float, label: str, parts: Sequence[Markup]) -> Markup:
    return _CHART.format(
        name=name,
        width=WIDTH,
        height=height,
        label=clean(label, LABEL_CHARACTERS),
        body=Markup().join(parts),
    )


def _bar(length: float, *, is_good: bool) -> Markup:
    name = "value" if is_good else "value wrong"
    return _RECTANGLE.format(name=name, x=0, y=4, width=_across(length), h=12)


def _mark(baseline: float | None, limit: float | None) -> list[Markup]:
    """Draw the baseline and the limit as lines across the bar, with outlines."""
    marks = []
    for name, share in (("limit", limit), ("baseline", baseline)):
        if share is not None:
            path = f"M{_across(share):.1f} 1V27"
            marks += [_LINE.format(name=f"{name}{under}", path=path) for under in (" under", "")]
    return marks


def _across(share: float) -> float:
    return min(1.0, max(0.0, share)) * WIDTH


def _trace(values: Sequence[float], top: float) -> str:
    """Write a line through values; if there are too many, some are left out."""
    stride = -(-len(values) // MOST_POINTS)
    points = [
        f"{at / (len(values) - 1) * WIDTH:.1f} {(1 - values[at] / top) * LINE_HEIGHT:.1f}"
        for at in [*range(0, len(values) - 1, stride), len(values) - 1]
    ]
    return "M" + "L".join(points)
