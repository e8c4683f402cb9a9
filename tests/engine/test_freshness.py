"""Freshness: content decides, and nothing good is lost."""

import hashlib
import json
import os
import threading
import types
from dataclasses import dataclass

import pytest

from builder import files
from builder.engine import freshness, pipeline, stamps
from builder.engine import stage as stages
from builder.engine.hashes import Hashes
from builder.engine.inputs import File, Tree, dropped_settings, maybe_file, not_compared, shown_as
from builder.engine.lock import locked
from builder.engine.publish import clear, publish, scratch_folder
from builder.engine.stage import Checkpoint
from builder.errors import NotBuiltError, ToolError
from builder.machine import Machine
from builder.terminal.console import Console
from tests.conftest import build_of, run_persona


@dataclass(frozen=True)
class Inputs:
    """The declared inputs of a stage that copies its data file."""

    rows: File
    settings: dict[str, object] = shown_as("")


def stage_of(settings=None, **changes):
    """Make a stage that copies its data file."""
    names = {
        "NAME": "copy",
        "WORDS": "copies",
        "VERSION": 1,
        "worker": stages.main_process,
        "inputs": lambda build: Inputs(
            File(build.persona.data_files[0]), {"rate": 1} if settings is None else settings
        ),
        "output": lambda build: build.folder / "copy.txt",
        "check": stages.nothing_to_check,
        "health": stages.always_healthy,
        "unavailable": stages.always_available,
        "note": stages.nothing_to_note,
        "checkpoint": stages.never_resumed,
    }
    return types.SimpleNamespace(**{**names, **changes})


def make(stage, build, content="made"):
    build.folder.mkdir(parents=True, exist_ok=True)
    new = build.folder / "new.txt"
    new.write_text(content)
    publish_as_described(stage, build, new)


def publish_as_described(stage, build, new):
    hashes = Hashes(build.folder)
    described = freshness.describe(stage, build, stage.inputs(build), hashes)
    publish(stage, build, new, description=described, summary="done", took_s=2.34, hashes=hashes)


def reasons_of(stage, build):
    return freshness.find_reasons(stage, build, Hashes(build.folder))


def test_every_way_of_being_stale_has_its_words(luma):
    """Reasons tell apart never built, a changed setting or input, no output, and bad health."""
    build = build_of(luma)
    stage = stage_of()
    assert reasons_of(stage, build) == ["never built"]

    make(stage, build)
    assert reasons_of(stage, build) == []
    assert reasons_of(stage_of(settings={"rate": 2}), build) == ["rate is now 2, was 1"]
    assert reasons_of(stage_of(VERSION=2), build) == ["copy itself has changed"]
    assert reasons_of(stage_of(health=lambda _: "gone"), build) == ["gone"]

    (luma / "data.jsonl").write_text("x")
    assert reasons_of(stage, build) == ["data.jsonl changed"]

    stage.output(build).unlink()
    assert reasons_of(stage, build) == ["copy.txt is missing"]


def test_a_stamp_notes_how_long_its_stage_ran(luma):
    """The seconds are read back, and one without them is as fresh."""
    build, stage = build_of(luma), stage_of()
    make(stage, build)
    assert stamps.read(build.folder, stage.NAME).took_s == 2.3

    path = stamps.path(build.folder, stage.NAME)
    values = json.loads(path.read_text())
    del values["took_s"]
    path.write_text(json.dumps(values))
    assert stamps.read(build.folder, stage.NAME).took_s is None
    assert reasons_of(stage, build) == []


LONG = "You are Luma, whom Ana made for her garden and for nobody else. "


@pytest.mark.parametrize(
    ("old", "new", "was", "now"),
    [
        ("acme/one", "acme/two", "acme/one", "acme/two"),
        (LONG + "One word.", LONG + "Two words.", '"…else. One word."', '"…else. Two words."'),
        ("A" + LONG, "B" + LONG, f'"A{LONG[:39]}…"', f'"B{LONG[:39]}…"'),
        (None, LONG, "not set", '"You are Luma, whom Ana made for her gard…"'),
        ("猫" * 50, "猫" * 49 + "犬", f'"…{"猫" * 13}"', f'"…{"猫" * 12}犬"'),
        ("two\nlines", "two lines", '"two\\nlines"', '"two lines"'),
        ("2", 2, '"2"', "2"),
        ("not set", None, '"not set"', "not set"),
        ([{"ask": "a", "must": None}], [{"ask": "b"}], '[{"ask": "a"}]', '[{"ask": "b"}]'),
    ],
)
def test_a_reason_shows_where_two_texts_differ(luma, old, new, was, now):
    """Of long texts the part around their first difference is shown, and never the same twice."""
    build = build_of(luma)
    make(stage_of(settings={"x": old}), build)

    changed = stage_of(settings={"x": new})
    assert reasons_of(changed, build) == [f"x is now {now}, was {was}"]


def test_a_touched_file_is_fresh(luma):
    """The time of change alone makes nothing stale."""
    build = build_of(luma)
    stage = stage_of()
    make(stage, build)
    os.utime(luma / "data.jsonl", (1, 1))

    assert reasons_of(stage, build) == []


def test_a_hand_edit_is_refused(luma):
    """An edited output is kept and told, unless --discard is typed."""
    build = build_of(luma)
    stage = stage_of()
    make(stage, build)
    stage.output(build).write_text("edited")

    with pytest.raises(ToolError, match="was edited by hand"):
        reasons_of(stage, build)
    assert reasons_of(stage, build_of(luma, discard=True)) == [
        "copy.txt was edited by hand and is discarded"
    ]


def test_a_stamp_cut_short_reads_never_built(luma):
    """Half a stamp is no stamp."""
    build = build_of(luma)
    stage = stage_of()
    make(stage, build)
    path = build.folder / ".stamps" / "copy.json"
    path.write_text(path.read_text()[:20])

    assert reasons_of(stage, build) == ["never built"]


def test_a_crash_between_two_renames_puts_the_old_output_back(luma):
    """An output that a crash left aside is restored, by whoever has the lock."""
    build, stage = build_of(luma), stage_of()
    make(stage, build)
    stage.output(build).rename(build.folder / ".copy.txt.old")
    stamps.path(build.folder, stage.NAME).unlink()

    clear(build, (stage,))
    assert stage.output(build).read_text() == "made"
    assert reasons_of(stage, build) == ["never built"]


def test_what_a_kill_left_of_another_target_is_removed(luma):
    """An old output beside its new one is nobody's, whichever target's stage was killed."""
    build = build_of(luma)
    for name in ("merged", ".merged.old", ".gates.json.old"):
        (build.folder / name).mkdir(parents=True)

    clear(build, (stage_of(),))

    assert (build.folder / "merged").is_dir()
    assert not (build.folder / ".merged.old").exists()
    assert (build.folder / ".gates.json.old").exists()  # which its own target puts back


def test_an_output_that_was_removed_on_purpose_does_not_come_back(luma):
    """What a crash left beside a published output is litter, whatever became of that output."""
    build, stage = build_of(luma), stage_of()
    make(stage, build)
    stage.output(build).rename(build.folder / ".copy.txt.old")

    clear(build, (stage,))
    assert reasons_of(stage, build) == ["copy.txt is missing"]
    assert not list(build.folder.glob(".copy*"))


def listing(folder):
    """List what is in a folder: names, contents, and when each was last changed."""
    paths = [folder, *folder.rglob("*")]
    return {path: (path.stat().st_ctime_ns, path.is_file() and path.read_bytes()) for path in paths}


def test_why_writes_nothing(luma):
    """A plan leaves a build's folder as it was, also one that a crash left in disorder."""
    build = build_of(luma)
    stage = stage_of()
    assert pipeline.plan(build, (stage,)).judgements[0].reasons == ["never built"]
    assert not build.folder.exists()

    make(stage, build)
    stage.output(build).rename(build.folder / ".copy.txt.old")
    before = listing(build.folder)

    assert pipeline.plan(build, (stage,)).judgements[0].reasons == ["copy.txt is missing"]
    assert listing(build.folder) == before


def test_why_says_that_a_build_is_running(luma):
    """While a build has the lock, `why` says so in one line, ends with 0, and changes nothing."""
    root = luma.parent.parent
    with locked(root / "build" / "luma"):
        before = listing(root / "build")
        told = run_persona("why", "luma", cwd=root)
        assert listing(root / "build") == before

    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout == f"luma      is being built by process {os.getpid()}\n"


@pytest.mark.parametrize("error", [None, FileNotFoundError("copy.txt")])
def test_why_says_that_a_build_began_meanwhile(luma, error):
    """What a plan sees of a build that began under it is not told as the state of things."""
    build = build_of(luma)
    make(stage_of(), build)

    def begin(build):
        with locked(build.folder):
            (build.folder / "copy.txt").unlink()
        if error:
            raise error
        return Inputs(File(build.persona.data_files[0]), {})

    told = pipeline.plan(build, (stage_of(inputs=begin),)).judgements
    assert told[0].reasons == [f"is being built by process {os.getpid()}"]


def test_why_and_a_build_that_publishes_do_not_disturb_each_other(luma):
    """However a plan falls between the steps of publishing, both see whole outputs alone."""
    build = build_of(luma)
    stage = stage_of(output=lambda build: build.folder / "copy")
    failures = []

    def publish_once():
        new = build.folder / ".new"
        with locked(build.folder):
            new.mkdir()
            for number in range(20):
                (new / f"{number}.txt").write_text("made")
            publish_as_described(stage, build, new)

    def publish_often():
        try:
            for _ in range(60):
                publish_once()
        except Exception as error:  # noqa: BLE001 — shown by the assertion
            failures.append(error)

    publish_once()
    builder = threading.Thread(target=publish_often)
    builder.start()
    reasons = set()
    while builder.is_alive():
        reasons |= {tuple(verdict.reasons) for verdict in pipeline.plan(build, (stage,)).judgements}
    builder.join()

    assert failures == []
    assert reasons <= {(), (f"is being built by process {os.getpid()}",)}
    assert pipeline.plan(build, (stage,)).judgements[0].reasons == []


@dataclass(frozen=True)
class Numbers:
    """A table of settings."""

    rate: int


@dataclass(frozen=True, kw_only=True)
class EveryKind:
    """One field of each kind that can be declared."""

    rows: tuple[File, ...]
    folder: Tree | None = maybe_file()
    text: str = shown_as("ollama.system")
    table: Numbers = Numbers(1)
    tables: tuple[Numbers, ...] = (Numbers(3),)
    cache: str = not_compared()


def every_kind(luma, **changes):
    values = {"rows": (File(luma / "data.jsonl"),), "folder": None, "text": "a", "cache": "b"}
    return EveryKind(**{**values, **changes})


@pytest.mark.parametrize(
    ("change", "reasons"),
    [
        (
            lambda luma: {"rows": (File(luma / "data.jsonl"), File(luma / "more.csv"))},
            ["more.csv is new"],
        ),
        (lambda luma: {"folder": Tree(luma / "weights")}, ["weights is new"]),
        (lambda _luma: {"text": "c"}, ["ollama.system is now c, was a"]),
        (lambda _luma: {"table": Numbers(2)}, ["table.rate is now 2, was 1"]),
        (
            lambda _luma: {"tables": (Numbers(4),)},
            ['tables is now [{"rate": 4}], was [{"rate": 3}]'],
        ),
        (lambda _luma: {"cache": "elsewhere"}, []),
    ],
)
def test_every_kind_of_declared_input_is_compared_but_for_those_that_say_not(luma, change, reasons):
    """A file, a folder, a value and a table each make a stage stale by name; a cache does not."""
    build = build_of(luma)
    make(stage_of(inputs=lambda _build: every_kind(luma)), build)
    (luma / "more.csv").write_text("x")
    (luma / "weights").mkdir()

    changed = stage_of(inputs=lambda _build: every_kind(luma, **change(luma)))
    assert reasons_of(changed, build) == reasons


def test_an_output_of_another_version_is_told_so(luma):
    """A stamp of another schema is not misread: the stage runs again, and the reason says why."""
    build, stage = build_of(luma), stage_of()
    make(stage, build)
    path = build.folder / ".stamps" / "copy.json"
    path.write_text(path.read_text().replace(f'"schema": {stamps.SCHEMA}', '"schema": 1'))

    assert reasons_of(stage, build) == ["built by another version"]


def test_a_stage_after_one_that_never_ran_is_stale_by_its_name(luma):
    """What cannot be declared yet is stale because of the stage that has not made it."""
    build = build_of(luma)

    def inputs(build):
        raise NotBuiltError(build.folder / "copy.txt")

    after = stage_of(NAME="after", inputs=inputs, output=lambda build: build.folder / "after.txt")
    told = {
        one.stage: one.describe() for one in pipeline.plan(build, (stage_of(), after)).judgements
    }
    assert told == {"copy": "runs: never built", "after": "runs: never built"}


def chain_of(build, **changes):
    """Make a stage that copies the rows, one that copies its output, and build both."""
    first = stage_of()
    second = stage_of(
        NAME="after",
        inputs=lambda build: Inputs(File(build.folder / "copy.txt"), {"depth": 1}),
        output=lambda build: build.folder / "after.txt",
    )
    for stage in (first, second):
        make(stage, build)
    return first, types.SimpleNamespace(**{**vars(second), **changes})


def tell(build, *chain):
    return {
        one.stage: (one.describe(), one.list_reasons())
        for one in pipeline.plan(build, chain).judgements
    }


def test_what_runs_is_told_apart_from_what_may_run(luma):
    """A stage after one that runs is checked: where that writes the same bytes it stays fresh."""
    build = build_of(luma)
    first, second = chain_of(build)
    (luma / "data.jsonl").write_text("x")

    told = tell(build, first, second)
    assert told["copy"] == ("runs: data.jsonl changed", ["data.jsonl changed"])
    condition = "if the output of copy changes"
    assert told["after"] == (f"may run: {condition}", [condition])

    first.run = lambda _inputs, work: str(work.out.write_text("made"))
    second.run = None  # it is not called
    assert pipeline.run(build, (first, second), Console()).has_run
    assert [one.may_run for one in pipeline.plan(build, (first, second)).judgements] == [
        False,
        False,
    ]


def test_an_output_that_was_hashed_as_it_was_written_is_not_read_again(luma, monkeypatch):
    """It may have gigabytes; nothing but the output stays behind."""
    build, stage, read, true = build_of(luma), stage_of(), [], files.sha256

    def run(_, work):
        work.out.write_text("made")
        work.note_sha256(hashlib.sha256(b"made").hexdigest())
        return "done"

    def watch(path):
        read.append(path.name)
        return true(path)

    monkeypatch.setattr(files, "sha256", watch)
    stage.run = run
    pipeline.run(build, [stage], Console())

    assert [one.may_run for one in pipeline.plan(build, [stage]).judgements] == [False]
    assert "copy.txt" not in read
    assert stamps.read(build.folder, "copy").output == true(build.folder / "copy.txt")
    assert not list(build.folder.rglob("*.sha256"))


@pytest.mark.parametrize("state", ["as it was", "differs", "missing"])
def test_what_differs_already_is_told_apart(luma, state):
    """A stage whose file was written anew since runs, unless the next try gives the old bytes."""
    build = build_of(luma)
    first, second = chain_of(build)
    if state == "differs":
        (luma / "data.jsonl").write_text("y")
        make(first, build, "made anew")
    elif state == "missing":
        first.output(build).unlink()
    (luma / "data.jsonl").write_text("x")

    may_run = "may run: if the output of copy changes"
    expected = "runs, unless copy writes again what it was built from"
    after = {one.stage: one for one in pipeline.plan(build, (first, second)).judgements}["after"]
    assert after.describe() == (expected if state == "differs" else may_run)
    assert (after.state, after.is_certain) == ("may run", False)


def test_a_stage_after_one_that_runs_is_told_its_own_reasons(luma):
    """A setting of its own is a reason whatever comes before; the other's file is none yet."""
    build = build_of(luma)
    first, second = chain_of(
        build, inputs=lambda build: Inputs(File(build.folder / "copy.txt"), {"depth": 2})
    )
    (luma / "data.jsonl").write_text("x")
    assert tell(build, first, second)["after"][0] == "runs: depth is now 2, was 1"

    first.output(build).unlink()
    told = tell(build, first, second)
    assert told["copy"][0] == "runs: copy.txt is missing"
    assert told["after"][0] == "runs: depth is now 2, was 1"


def test_an_edit_by_hand_is_told_before_anything_runs(luma):
    """Also of a stage that may stay as it is: its edit would stop the build after hours."""
    build = build_of(luma)
    first, second = chain_of(build)
    (luma / "data.jsonl").write_text("x")
    second.output(build).write_text("edited")

    with pytest.raises(ToolError, match=r"after\.txt: was edited by hand"):
        pipeline.plan(build, (first, second))


def test_a_stage_that_cannot_run_here_is_told_so(luma):
    """What is missing on this machine is no reason to run."""
    told = tell(build_of(luma), stage_of(unavailable=lambda _: "no Ollama here"))
    assert told["copy"] == ("does not run: no Ollama here", ["no Ollama here"])


def test_why_says_from_where_a_stage_goes_on(luma):
    """Where a try with these inputs was cut short, its step is told; of other inputs it is not."""
    build = build_of(luma)
    stage = stage_of(checkpoint=lambda _build, _scratch: Checkpoint(done=25, of=60))
    described = freshness.describe(stage, build, stage.inputs(build), Hashes(build.folder))
    scratch = scratch_folder(stage, build, described)
    assert tell(build, stage)["copy"][0] == "runs: never built"

    scratch.mkdir(parents=True)
    told, reasons = tell(build, stage)["copy"]
    assert told == "runs: never built; goes on from step 25 of 60"
    assert reasons == ["never built", "goes on from step 25 of 60"]
    (luma / "data.jsonl").write_text("x")
    assert tell(build, stage)["copy"][0] == "runs: never built"


def test_a_checkpoint_of_what_will_be_written_anew_is_not_told(luma):
    """A try of a file that a stage before it will write is no longer one of that file."""
    build = build_of(luma)
    first, second = chain_of(build, checkpoint=lambda _build, _scratch: Checkpoint(done=2, of=6))
    stamps.path(build.folder, second.NAME).unlink()
    described = freshness.describe(second, build, second.inputs(build), Hashes(build.folder))
    scratch_folder(second, build, described).mkdir(parents=True)
    assert tell(build, first, second)["after"][0] == "runs: never built; goes on from step 2 of 6"

    (luma / "data.jsonl").write_text("x")
    assert tell(build, first, second)["after"][0] == "runs: never built"


@dataclass(frozen=True)
class Dropping:
    """A setting, and which of them another one drops."""

    settings: dict[str, object] = shown_as("")
    dropped: dict[str, str] = dropped_settings()


@pytest.mark.parametrize(
    ("old", "new", "reasons"),
    [
        (({"text": "a", "share": 1}, {}), ({"text": None, "share": 0}, {"text": "share"}), "share"),
        (({"text": None, "share": 0}, {"text": "share"}), ({"text": "a", "share": 1}, {}), "share"),
        (({"text": "a", "share": 1}, {}), ({"text": None, "share": 0}, {"share": "text"}), "text"),
        (({"text": None, "share": 0}, {"share": "text"}), ({"text": "a", "share": 1}, {}), "text"),
    ],
)
def test_a_setting_that_another_drops_is_told_by_that_other(luma, old, new, reasons):
    """A person reads of the setting that they changed, whichever of the two that was."""
    build = build_of(luma)
    make(stage_of(inputs=lambda _: Dropping(*old)), build)
    told = {
        "share": f"share is now {new[0]['share']}, was {old[0]['share']}",
        "text": f"text is now {new[0]['text'] or 'not set'}, was {old[0]['text'] or 'not set'}",
    }

    assert reasons_of(stage_of(inputs=lambda _: Dropping(*new)), build) == [told[reasons]]


def test_a_setting_is_told_by_one_that_its_stage_does_not_have(luma):
    """Where a stage has the dropped setting alone, the other is named all the same."""
    build = build_of(luma)
    with_text = stage_of(inputs=lambda _: Dropping({"text": "a"}, {}))
    without = stage_of(inputs=lambda _: Dropping({"text": None}, {"text": "share"}))
    make(with_text, build)
    assert reasons_of(without, build) == ["share now leaves text out"]

    make(without, build)
    assert reasons_of(with_text, build) == ["share no longer leaves text out"]


def test_a_damaged_cache_of_hashes_is_not_read(luma):
    """Whatever stands in the cache, contents decide."""
    build, stage = build_of(luma), stage_of()
    make(stage, build)
    cache = build.folder / ".cache" / "hashes.json"
    cache.parent.mkdir()
    for text in ("", "[1]", '{"x": 3}', "\x00"):
        cache.write_text(text)
        assert reasons_of(stage, build) == []


class Workers:
    """Stands where a pool does: notes which worker is to start beside the one that works."""

    def __init__(self):
        self.started = []

    def prepare(self, module, _logs):
        """Note the first one."""
        self.started.append((None, module))

    def run(self, task, module, *, next_module=None):
        """Note, and write what the stage would."""
        self.started.append((module, next_module))
        task.work.out.write_text("made")
        return "done"


@pytest.mark.parametrize(
    ("kind", "started"),
    [
        ("cpu", [(None, "a"), ("a", "a"), ("a", "b"), ("b", None)]),
        ("gpu", [(None, "a"), ("a", "b"), ("a", "b"), ("b", None)]),
    ],
)
def test_the_next_worker_starts_early_where_a_gpu_holds_the_model(luma, kind, started):
    """On a CPU its imports would take the memory of what trains."""
    build, workers = build_of(luma), Workers()
    build.__dict__["machine"] = Machine(kind, "made up", has_bf16=False)
    chain = [
        stage_of(
            NAME=name,
            worker=lambda _, module=module: module,
            output=lambda build, name=name: build.folder / f"{name}.txt",
        )
        for name, module in (("one", "a"), ("two", "a"), ("three", "b"))
    ]

    pipeline.run(build, chain, Console(), pool=workers)

    assert workers.started == started
