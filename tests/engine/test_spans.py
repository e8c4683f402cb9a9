"""Where a stage's time goes is noted from the records of its progress."""

import json
import logging
import types

import pytest

from builder import progress
from builder.engine import freshness, pipeline, stamps
from builder.engine.forecast import Workload
from builder.engine.spans import MOST_SPANS, Spans, read_spans
from builder.errors import GateError, ToolError
from builder.terminal.console import Console
from tests.conftest import build_of
from tests.engine.test_freshness import stage_of


@pytest.fixture(autouse=True)
def _log():
    """Let records of the project through, as the command line does."""
    log = logging.getLogger("builder")
    level = log.level
    log.setLevel(logging.INFO)
    yield
    log.setLevel(level)


class Clock:
    """Stands for the time: moves on by what it is told."""

    def __init__(self):
        self.now_s = 0.0

    def monotonic(self):
        """Give the time."""
        return self.now_s


@pytest.fixture
def clock(monkeypatch):
    """Give spans a clock that stands still."""
    made = Clock()
    monkeypatch.setattr(
        "builder.engine.spans.time", types.SimpleNamespace(monotonic=made.monotonic)
    )
    return made


def test_each_piece_of_work_has_its_seconds(clock):
    """A piece lasts until another begins; one that comes again is one piece; the sum is whole."""
    with Spans("begins") as spans:
        clock.now_s = 1.0
        progress.report("loads", 0, 0, "")
        clock.now_s = 3.0
        progress.report("asks", 1, 2, "questions")
        clock.now_s = 4.0
        progress.report("asks", 2, 2, "questions")
        clock.now_s = 5.5
        progress.report("loads", 0, 0, "")
        clock.now_s = 6.0
        found = {span.what: span.took_s for span in spans.take()}

    assert found == {"begins": 1.0, "loads": 2.5, "asks": 2.5}


def test_a_stage_that_tells_nothing_has_no_spans(clock):
    """Without progress there is nothing finer than the stage, and the next stage's is not taken."""
    with Spans("begins") as spans:
        clock.now_s = 9.0
    progress.report("loads", 0, 0, "")

    assert spans.take() == ()


def test_their_number_is_bounded(clock):
    """However many pieces a stage names, a stamp holds few, and their sum is the whole."""
    with Spans("begins") as spans:
        for number in range(500):
            clock.now_s += 1.0
            progress.report(f"piece {number}", 0, 0, "")
        clock.now_s += 1.0
        found = spans.take()

    assert len(found) <= MOST_SPANS + 1
    assert sum(span.took_s for span in found) == 501.0


@pytest.mark.parametrize(
    "values",
    [None, 3, "x", [3], [{"what": "a"}], [{"what": "a", "took_s": -1}], [{"what": 1, "took_s": 1}]],
)
def test_damaged_spans_are_not_read(values):
    """A stamp whose spans are anything else is read without them."""
    assert read_spans(values) == ()


def run_telling(_inputs, work):
    progress.report("copies", 1, 2, "rows")
    work.out.write_text("made")
    return "copied"


def test_a_stamp_holds_them_and_they_make_nothing_stale(luma, monkeypatch, tmp_path):
    """A stage's spans are in its stamp, its time is noted for the next build, and it is fresh."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    build, stage = build_of(luma), stage_of(run=run_telling)
    console, measured = Console(), []

    def measure():
        measured.append(1)
        return Workload(key="k")

    for _ in range(2):
        pipeline.run(build, (stage,), console, measure)
    stamp = json.loads(stamps.path(build.folder, stage.NAME).read_text())
    noted = json.loads((tmp_path / "cache" / "persona" / "times.json").read_text())

    assert isinstance(stamp["spans"], list)
    assert list(noted["times"]["k"]) == ["copy again"]
    assert len(measured) == 1  # a build without stale stages measures nothing
    assert freshness.find_reasons(stage, build, pipeline.Hashes(build.folder)) == []


@pytest.mark.parametrize(
    ("error", "is_noted"), [(ToolError("no"), False), (GateError("no"), True), (None, True)]
)
def test_only_whole_work_is_noted(luma, monkeypatch, tmp_path, error, is_noted):
    """A failure is no observation, a refusal is; what resumes after a failure is none either."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    record = tmp_path / "cache" / "persona" / "times.json"

    def run_failing(inputs, work):
        (work.scratch / "checkpoint").write_text("half")
        if error:
            raise error
        return run_telling(inputs, work)

    def build_with(run):
        stage = stage_of(run=run)
        pipeline.run(build_of(luma), (stage,), Console(), lambda: Workload(key="k"))

    if error:
        with pytest.raises(type(error)):
            build_with(run_failing)
    else:
        build_with(run_failing)
    assert record.exists() == is_noted

    record.unlink(missing_ok=True)
    if error:
        build_with(run_telling)
        assert not record.exists()
