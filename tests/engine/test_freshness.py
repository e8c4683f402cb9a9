"""Freshness: content decides, and nothing good is lost."""

import os
import threading
import types

import pytest

from builder.console import Console
from builder.engine import freshness, pipeline
from builder.errors import ToolError
from tests.conftest import job_of, run_persona


def stage_of(job, **changes):
    """Make a stage that copies its data file."""
    names = {
        "NAME": "copy",
        "VERSION": 1,
        "HEAVY": False,
        "inputs": lambda job: job.persona.data_files,
        "settings": lambda _job: {"rate": 1},
        "output": lambda job: job.build / "copy.txt",
        "health": lambda _job: None,
    }
    del job
    return types.SimpleNamespace(**{**names, **changes})


def make(stage, job, content="made"):
    job.build.mkdir(parents=True, exist_ok=True)
    new = job.build / "new.txt"
    new.write_text(content)
    freshness.publish(stage, job, new, freshness.describe(stage, job), "done")


def test_every_way_of_being_stale_has_its_words(luma):
    """Never built, a changed setting, a changed input, a missing output and bad health are told apart."""
    job = job_of(luma)
    stage = stage_of(job)
    assert freshness.why_stale(stage, job) == ["never built"]

    make(stage, job)
    assert freshness.why_stale(stage, job) == []
    assert freshness.why_stale(stage_of(job, settings=lambda _: {"rate": 2}), job) == [
        "rate is now 2, was 1"
    ]
    assert freshness.why_stale(stage_of(job, VERSION=2), job) == ["copy itself has changed"]
    assert freshness.why_stale(stage_of(job, health=lambda _: "gone"), job) == ["gone"]

    (luma / "data.jsonl").write_text("x")
    assert freshness.why_stale(stage, job) == ["data.jsonl changed"]

    stage.output(job).unlink()
    assert freshness.why_stale(stage, job) == ["copy.txt is missing"]


LONG = "You are Luma, whom Ana made for her garden and for nobody else. "


@pytest.mark.parametrize(
    ("old", "new", "was", "now"),
    [
        ("acme/one", "acme/two", "acme/one", "acme/two"),
        (LONG + "One word.", LONG + "Two words.", '"…else. One word."', '"…else. Two words."'),
        ("A" + LONG, "B" + LONG, f'"A{LONG[:39]}…"', f'"B{LONG[:39]}…"'),
        (None, LONG, "null", '"You are Luma, whom Ana made for her gard…"'),
        ("猫" * 50, "猫" * 49 + "犬", f'"…{"猫" * 13}"', f'"…{"猫" * 12}犬"'),
        ("two\nlines", "two lines", '"two\\nlines"', '"two lines"'),
        ("2", 2, '"2"', "2"),
    ],
)
def test_a_reason_shows_where_two_texts_differ(luma, old, new, was, now):
    """Of long texts the part around their first difference is shown, and never the same twice."""
    job = job_of(luma)
    make(stage_of(job, settings=lambda _: {"x": old}), job)

    changed = stage_of(job, settings=lambda _: {"x": new})
    assert freshness.why_stale(changed, job) == [f"x is now {now}, was {was}"]


def test_a_touched_file_is_fresh(luma):
    """The time of change alone makes nothing stale."""
    job = job_of(luma)
    stage = stage_of(job)
    make(stage, job)
    os.utime(luma / "data.jsonl", (1, 1))

    assert freshness.why_stale(stage, job) == []


def test_a_hand_edit_is_refused(luma):
    """An edited output is kept and told, unless --discard is typed."""
    job = job_of(luma)
    stage = stage_of(job)
    make(stage, job)
    stage.output(job).write_text("edited")

    with pytest.raises(ToolError, match="was edited by hand"):
        freshness.why_stale(stage, job)
    assert freshness.why_stale(stage, job_of(luma, discard=True)) == [
        "copy.txt was edited by hand and is discarded"
    ]


def test_a_stamp_cut_short_reads_never_built(luma):
    """Half a stamp is no stamp."""
    job = job_of(luma)
    stage = stage_of(job)
    make(stage, job)
    path = job.build / ".stamps" / "copy.json"
    path.write_text(path.read_text()[:20])

    assert freshness.why_stale(stage, job) == ["never built"]


def test_a_crash_between_two_renames_puts_the_old_output_back(luma):
    """An output that a crash left aside is restored, by whoever has the lock."""
    job = job_of(luma)
    stage = stage_of(job)
    make(stage, job)
    stage.output(job).rename(job.build / ".copy.txt.old")

    pipeline.build(job, Console(), (stage,))

    assert freshness.why_stale(stage, job) == []
    assert stage.output(job).read_text() == "made"


def listing(folder):
    """List what is in a folder: names, contents, and when each was last changed."""
    paths = [folder, *folder.rglob("*")]
    return {path: (path.stat().st_ctime_ns, path.is_file() and path.read_bytes()) for path in paths}


def test_why_writes_nothing(luma):
    """A plan leaves a build's folder as it was, also one that a crash left in disorder."""
    job = job_of(luma)
    stage = stage_of(job)
    assert pipeline.plan(job, (stage,))[0].reasons == ["never built"]
    assert not job.build.exists()

    make(stage, job)
    stage.output(job).rename(job.build / ".copy.txt.old")
    before = listing(job.build)

    assert pipeline.plan(job, (stage,))[0].reasons == ["copy.txt is missing"]
    assert listing(job.build) == before


def test_why_says_that_a_build_is_running(luma):
    """While a build has the lock, `why` says so in one line, ends with 0, and changes nothing."""
    root = luma.parent.parent
    with pipeline.locked(root / "build" / "luma"):
        before = listing(root / "build")
        told = run_persona("why", "luma", cwd=root)
        assert listing(root / "build") == before

    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout == f"luma      is being built by process {os.getpid()}\n"


@pytest.mark.parametrize("error", [None, FileNotFoundError("copy.txt")])
def test_why_says_that_a_build_began_meanwhile(luma, error):
    """What a plan sees of a build that began under it is not told as the state of things."""
    job = job_of(luma)
    make(stage_of(job), job)

    def begin(job):
        with pipeline.locked(job.build):
            (job.build / "copy.txt").unlink()
        if error:
            raise error
        return job.persona.data_files

    told = pipeline.plan(job, (stage_of(job, inputs=begin),))
    assert told[0].reasons == [f"is being built by process {os.getpid()}"]


def test_why_and_a_build_that_publishes_do_not_disturb_each_other(luma):
    """However a plan falls between the steps of publishing, both see whole outputs alone."""
    job = job_of(luma)
    stage = stage_of(job, output=lambda job: job.build / "copy")
    failures = []

    def publish():
        new = job.build / ".new"
        with pipeline.locked(job.build):
            new.mkdir()
            for number in range(20):
                (new / f"{number}.txt").write_text("made")
            freshness.publish(stage, job, new, freshness.describe(stage, job), "done")

    def publish_often():
        try:
            for _ in range(60):
                publish()
        except Exception as error:  # noqa: BLE001 — shown by the assertion
            failures.append(error)

    publish()
    builder = threading.Thread(target=publish_often)
    builder.start()
    reasons = set()
    while builder.is_alive():
        reasons |= {tuple(verdict.reasons) for verdict in pipeline.plan(job, (stage,))}
    builder.join()

    assert failures == []
    assert reasons <= {(), (f"is being built by process {os.getpid()}",)}
    assert pipeline.plan(job, (stage,))[0].reasons == []
