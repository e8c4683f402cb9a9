"""`build --json` prints events as docs/files.md says, and nothing else."""

import dataclasses
import io
import json
import re

import pytest
from pydantic import TypeAdapter

from builder import cli, progress
from builder.progress import Training
from builder.terminal import events
from builder.terminal.console import Console
from builder.terminal.events import EVENTS, Stream, name_event
from tests.conftest import ROOT, run_persona
from tests.forks import run_python

KINDS = {name_event(kind): kind for kind in EVENTS}
# What a build does first, and then an error: no Ollama answers, and the rows are wrong.
LIGHT = """
import sys
from builder import cli, targets
from builder.stages import base, data, render
targets.MODEL = (base, data, render)
sys.exit(cli.main(sys.argv[1:]))
"""


def read_events(printed):
    """Read every line as the dataclass that it names; a wrong field or type is an error."""
    found = []
    for line in printed.splitlines():
        values = json.loads(line)
        kind = KINDS[values.pop("event")]
        found.append(TypeAdapter(kind).validate_python(values))
        assert set(values) == {field.name for field in dataclasses.fields(kind)}
    return found


def build_light(luma, *arguments):
    """Build only what takes no training, as a person would."""
    root = luma.parent.parent
    return run_python("-c", LIGHT, "build", "luma", "--base", "cpu", *arguments, cwd=root)


def test_a_run_of_light_stages_is_of_the_schema(luma):
    """Each event of a real run is a dataclass of the schema, in order, and stdout has no more."""
    done = build_light(luma, "--json", "--quiet")
    found = read_events(done.stdout)

    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert isinstance(found[0], events.BuildStarted)
    assert found[0].stages == ("base", "data", "render")
    assert [one.stage for one in found if isinstance(one, events.StageDone)] == [
        *("base", "data", "render")
    ]
    assert any(isinstance(one, events.StageProgress) for one in found)
    assert any(isinstance(one, events.Message) and one.level == "warning" for one in found)
    assert isinstance(found[-1], events.BuildFinished)
    assert (found[-1].has_run, found[-1].file) == (True, "build/luma/model.gguf")
    assert {one.name for one in found} == {"luma"}

    again = read_events(build_light(luma, "--json").stdout)
    assert [name_event(type(one)) for one in again] == [*["stage_fresh"] * 3, "build_finished"]


def test_an_error_is_the_last_event(luma):
    """What a person can mend has its class, every mistake and the hint; the exit code is 1."""
    (luma / "data.jsonl").write_text('{"prompt": 1}\n{"prompt": "a"}\n')
    done = run_persona("build", "luma", "--json", cwd=luma.parent.parent)
    *_, last = read_events(done.stdout)

    assert done.returncode == cli.MENDABLE
    assert isinstance(last, events.BuildFailed)
    assert last.error == "DataError"
    assert len(last.problems) == 2
    assert "data.jsonl:1" in last.problems[0]


def test_each_of_several_personas_has_its_name(luma):
    """Of two personas each event says which it is of."""
    done = run_persona("build", "ada", "luma.", "--json", cwd=luma.parent.parent)

    assert [one.name for one in read_events(done.stdout)] == ["ada", "luma."]


def test_quiet_shows_errors_and_the_result_alone(luma):
    """With --quiet a build that succeeds says one line, its result; one that fails its error."""
    done = build_light(luma, "--quiet")
    assert (done.stderr, done.stdout.count("\n")) == ("", 1)

    (luma / "data.jsonl").write_text("{\n")
    failed = build_light(luma, "--quiet")
    assert failed.stdout == ""
    assert failed.stderr.startswith("error: ")


def test_verbose_shows_what_libraries_print(luma):
    """With --verbose a library's lines are on the screen as they come, and still in the log."""
    code = LIGHT.replace(
        "sys.exit",
        "run = data.run\ndata.run = lambda *a: print('chatter\\x1b[2J') or run(*a)\nsys.exit",
    )
    command = ("build", "luma", "--base", "cpu", "--verbose")
    done = run_python("-c", code, *command, cwd=luma.parent.parent)

    assert done.returncode == 0, done.stderr
    assert "chatter\\x1b[2J\n" in done.stderr
    log = luma.parent.parent / "build" / "luma" / "logs" / "data.log"
    assert "chatter\x1b[2J" in log.read_text()


def test_verbose_and_quiet_exclude_each_other(luma):
    """Both at once are a mistake in the typing."""
    done = run_persona("build", "luma", "-v", "-q", cwd=luma.parent.parent)

    assert done.returncode == cli.USAGE
    assert "expected one of them" in done.stderr


def test_losses_are_told_once_each(capsys, monkeypatch):
    """Of progress that comes too fast for its events no loss is lost, and none comes twice."""
    monkeypatch.setattr("builder.terminal.console.EVENT_EVERY_S", 3600.0)
    console = Console()
    console.print_events()
    console.started("train", ["never built"])
    for step in range(1, 6):
        told = Training(losses=(float(step),), epoch=1, epochs=2)
        console.emit(progress_record("trains", step, 5, told))
    found = [
        one for one in read_events(capsys.readouterr().out) if isinstance(one, events.StageProgress)
    ]

    assert [loss for one in found for loss in one.losses] == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert (found[-1].done, found[-1].epochs) == (5, 2)
    assert len(found) == 2


def test_a_sample_is_an_event_of_its_own(capsys, monkeypatch):
    """It comes however soon after other progress, with the answer as the model gave it."""
    monkeypatch.setattr("builder.terminal.console.EVENT_EVERY_S", 3600.0)
    console = Console()
    console.print_events()
    console.started("train", ["never built"])
    sample = progress.Sample(question="Who\x1b[2J?", answer="I am\nLuma", ended=False)
    for step in (1, 2):
        told = Training(losses=(1.0,), epoch=1, epochs=2, sample=sample if step == 2 else None)
        console.emit(progress_record("trains", step, 5, told))
    (found,) = (
        one for one in read_events(capsys.readouterr().out) if isinstance(one, events.Sample)
    )

    assert (found.stage, found.step, found.steps) == ("train", 2, 5)
    assert (found.question, found.answer, found.ended) == ("Who\x1b[2J?", "I am\nLuma", False)


def progress_record(what, done, total, training):
    import logging

    record = logging.makeLogRecord({"msg": what})
    record.progress = progress.Progress(what, done, total, "steps", training)
    return record


def test_a_reader_that_goes_away_ends_no_build():
    """Where nobody reads the events any more they are dropped."""

    class Closed(io.StringIO):
        def write(self, _text):
            raise BrokenPipeError

    stream = Stream(Closed())
    event = events.StageFresh(name="luma", stage="base", summary="")
    stream.write(event)
    stream.write(event)
    assert stream.file is None


@pytest.mark.parametrize("text", ["\ud800", "a\nb", "é", "\x1b[2J"])
def test_a_line_is_plain_ascii(text):
    """Whatever a text holds, its event is one line that any reader of JSON takes."""
    file = io.StringIO()
    Stream(file).write(events.StageFresh(name="luma", stage="base", summary=text))

    assert file.getvalue().isascii()
    assert file.getvalue().count("\n") == 1
    assert json.loads(file.getvalue())["summary"] == text


def test_the_page_lists_every_event_and_field():
    """docs/files.md names each event, and after it each of its own fields."""
    page = (ROOT / "docs" / "files.md").read_text("utf-8")
    told = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", page, re.MULTILINE))

    assert set(told) >= set(KINDS)
    common = {field.name for field in dataclasses.fields(events.Event)}
    for name, kind in KINDS.items():
        fields = {field.name for field in dataclasses.fields(kind)} - common
        assert set(re.findall(r"`(\w+)`", told[name])) >= fields, name
