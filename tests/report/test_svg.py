"""Charts: marks stand where their values are, and no value leaves the chart."""

import re
import xml.etree.ElementTree as ET

import pytest

from builder.report import svg


def find(chart, name):
    """Give the marks of a class, as their attributes."""
    return [mark.attrib for mark in ET.fromstring(chart) if mark.get("class") == name]  # noqa: S314


def draw_share(**changes):
    values = {"baseline": None, "limit": None, "is_good": True, "label": "x"}
    return svg.draw_share(0.25, (0.1, 0.5), **{**values, **changes})


def test_a_share_is_as_long_as_it_is():
    """A quarter is a quarter of the width; the interval, baseline and limit stand at theirs."""
    chart = draw_share(baseline=0.75, limit=0.6)

    assert find(chart, "value")[0]["width"] == "250.0"
    assert find(chart, "interval")[0]["d"].startswith("M100.0 21H500.0")
    assert find(chart, "baseline")[0]["d"].startswith("M750.0 ")
    assert find(chart, "limit")[0]["d"].startswith("M600.0 ")
    assert not find(draw_share(), "baseline")
    assert not find(draw_share(), "limit")
    assert find(draw_share(is_good=False), "value wrong")


def test_a_figure_and_its_limit_share_one_scale():
    """The bar passes the limit exactly where the figure does, and a negative one has no length."""
    for value, limit in ((0.5, 1.0), (3.0, 1.0), (-0.2, 0.1)):
        chart = svg.draw_measure(value, baseline=None, limit=limit, is_good=True, label="x")
        width = float(find(chart, "value")[0]["width"])
        at = float(find(chart, "limit")[0]["d"].split()[0][1:])
        assert (width > at) is (value > limit)
        assert 0 <= width <= svg.WIDTH


@pytest.mark.parametrize("count", [0, 1, 2, 499, 20_000])
def test_a_line_has_few_points_that_all_lie_in_the_chart(count):
    """However many steps there are, the line begins and ends at the edges, within the height."""
    chart = svg.draw_lines([float(step % 7) for step in range(count)], "x", is_noisy=True)
    lines = find(chart, "each") + find(chart, "mean")

    assert len(lines) == (2 if count > 1 else 0)
    for line in lines:
        points = [tuple(map(float, point.split())) for point in re.split("[ML]", line["d"])[1:]]
        assert len(points) <= svg.MOST_POINTS + 1
        assert (points[0][0], points[-1][0]) == (0.0, svg.WIDTH)
        assert all(0 <= y <= svg.LINE_HEIGHT for _, y in points)


def test_a_stage_of_no_time_is_seen_and_stays_in_the_chart():
    """The last stage's bar has a length however short it was, and ends where the whole does."""
    for start, length in ((0.0, 0.0), (0.999, 0.001), (0.5, 0.5)):
        (bar,) = find(svg.draw_span(start, length, "x"), "value")
        assert float(bar["width"]) > 0
        assert float(bar["x"]) + float(bar["width"]) <= svg.WIDTH


def test_zeros_are_drawn():
    """A chart of nothing but zeros divides by none of them."""
    assert svg.draw_lines([0.0, 0.0], "x", is_noisy=False)
    assert svg.draw_measure(0.0, baseline=0.0, limit=0.0, is_good=True, label="x")


def test_a_label_is_text():
    """What a label holds opens no element."""
    chart = svg.draw_span(0.0, 0.5, '"><script>\x1b[31m&')

    assert ET.fromstring(chart).attrib["aria-label"] == '"><script>\\x1b[31m&'  # noqa: S314


def test_the_running_mean_is_of_the_last_values():
    """Each point is the mean of itself and those just before it."""
    assert svg.smooth([3.0, 1.0, 2.0, 6.0]) == [3.0, 2.0, 2.0, 3.0]
