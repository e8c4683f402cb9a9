"""`why --times` shows where the time of a build went."""

import json

import pytest

from builder import cli
from tests.conftest import run_persona
from tests.pseudoterminal import draw, frames_of
from tests.terminal.test_events import build_light

DRAWN = """
from builder.views import waterfall
from builder.terminal.console import Console
from builder.engine.spans import Span
from builder.views.waterfall import StageTime

spans = (Span(what="loads libraries", took_s=20.0), Span(what="trains", took_s=70.0),
         Span(what="blinks", took_s=0.01))
times = [StageTime(stage="base", began_s=0.0, took_s=10.0, spans=()),
         StageTime(stage="train", began_s=10.0, took_s=90.0, spans=spans)]
console = Console()
waterfall.show(times, console, as_json=False)
console.close()
"""


def test_a_build_tells_its_times(luma):
    """The stages that were built are there in order, each begins where the last ended."""
    build_light(luma)
    done = run_persona("why", "luma", "--times", "--json", cwd=luma.parent.parent)
    told = json.loads(done.stdout)

    assert [one["stage"] for one in told["stages"]] == ["base", "data", "render"]
    began_s = 0.0
    for one in told["stages"]:
        assert one["began_s"] == pytest.approx(began_s, abs=0.01)
        began_s += one["took_s"]
        assert sum(span["took_s"] for span in one["spans"]) <= one["took_s"] + 0.1
    assert told["total_s"] == pytest.approx(began_s, abs=0.01)
    words = [span["what"] for one in told["stages"] for span in one["spans"]]
    assert "encodes the rows" in words or "reads the rows" in words

    piped = run_persona("why", "luma", "--times", cwd=luma.parent.parent).stdout.splitlines()
    assert [line.split()[0] for line in piped if line[0] != " "] == ["base", "data", "render", "in"]


def test_bars_stand_where_the_time_was():
    """On a terminal a bar begins where the one before it ends; what took no time is no line."""
    lines = [line for line in frames_of(draw(DRAWN, 100)) if line]

    assert [line.split("  ")[0] for line in lines] == [
        *("base", "train", "loads libraries", "trains", "in all")
    ]
    first, train, loads, trains, _ = lines
    width = 100 - len("  loads libraries 1m40s ")
    assert first.count("█") == pytest.approx(0.1 * width, abs=2)
    assert train.count("█") == pytest.approx(0.9 * width, abs=4)
    assert loads.index("█") < trains.index("█")


def test_a_narrow_terminal_has_the_figures_alone():
    """Of twenty-four columns none is spent on bars."""
    lines = [line for line in frames_of(draw(DRAWN, 24)) if line]

    assert "█" not in "".join(lines)
    assert max(map(len, lines)) <= 24


def test_what_was_never_built_says_so(luma):
    """Without a build there are no times, and the hint is to build."""
    done = run_persona("why", "luma", "--times", cwd=luma.parent.parent)

    assert done.returncode == cli.MENDABLE
    assert "just build luma" in done.stderr
