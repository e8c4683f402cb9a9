"""The history of a persona's builds."""

import dataclasses
import json

import pytest

from builder import cli, files, history
from builder.engine import freshness, pipeline, publish, stamps
from builder.engine.hashes import Hashes
from builder.errors import PersonaError
from builder.evaluation.report import Report
from builder.stages import base, data, export, smoke
from tests.conftest import build_of, run_persona
from tests.report.pages import make_answer, make_findings
from tests.views.test_summary import own_answer


def stamp(stage, build, output):
    """Write a stage's stamp, as if it had made an output."""
    hashes = Hashes(build.folder)
    made = build.folder / ".new" / output.name
    files.move(output, made)
    publish.publish(
        stage,
        build,
        made,
        description=freshness.describe(stage, build, stage.inputs(build), hashes),
        summary="",
        took_s=1.0,
        hashes=hashes,
    )


@pytest.fixture
def build(with_rows):
    """A build of luma that ended: real base and rows, and an examination of a file."""
    build = with_rows
    for path in (build.reference, build.answers):
        path.touch()
    (build.folder / "adapter").mkdir()
    (build.folder / "adapter" / "x").touch()
    build.gguf.write_bytes(b"GGUF")
    stamp(export, build, build.gguf)
    examine(build)
    return build


def examine(build, answer="I am Luma."):
    Report(
        share=1.0,
        tokens_per_s=9.0,
        gates=make_findings(),
        hello=own_answer("Hello", "Hi!", "Hm."),
        manifest=[],
        asked=[make_answer(text=answer)],
    ).write(build.smoke)
    stamp(smoke, build, build.smoke)


def records(build):
    return history.read(build.folder)


def test_a_build_that_ended_is_noted(build):
    """Its settings, what a person wrote, the gates' figures and every answer are in its record."""
    history.append(build)
    (record,) = records(build)

    assert (record.base, record.rows, record.size_bytes) == ("smollm2-135m-instruct", 4, 4)
    assert record.settings["data"]["identity.name"] == "Luma"
    assert record.settings["base"]["data.template"] == "base"
    assert list(record.contents) == ["data.jsonl"]
    assert {gate.gate for gate in record.gates} == {found.gate for found in make_findings()}
    assert [(a.gate, a.ask, a.answer) for a in record.answers] == [
        ("smoke", "Hello", "Hi!"),
        ("recall", "Who are you?", "I am Luma."),
    ]
    assert record.outcome in ("passed", "let through")


def test_the_same_build_is_noted_once(build):
    """A build that does nothing new renews its record's time; the last is the newest."""
    history.append(build)
    examine(build, "I am Nova.")
    history.append(build)
    first = records(build)
    examine(build)
    history.append(build)
    second = records(build)

    answers = [[record.answers[-1].answer for record in found] for found in (first, second)]
    assert answers == [["I am Luma.", "I am Nova."], ["I am Nova.", "I am Luma."]]
    assert second[-1].ended_at > first[-1].ended_at


def test_ten_builds_are_kept(build):
    """Of more builds than ten the oldest go, and so does what a kill left."""
    (build.folder / "history").mkdir()
    (build.folder / "history" / ".x.json.1234.tmp").touch()
    for number in range(history.MOST + 3):
        examine(build, f"I am Luma {number}.")
        history.append(build)

    said = [record.answers[-1].answer for record in records(build)]
    assert said == [f"I am Luma {number}." for number in range(3, history.MOST + 3)]
    assert len(list((build.folder / "history").iterdir())) == history.MOST


def test_a_refused_build_is_noted_as_such(build):
    """Of a file that a gate refused the record has the answers that it gave."""
    found = dataclasses.replace(
        history.contents.report.read(build.smoke), asked=[make_answer(text="I am SmolLM.")]
    )
    failed = [
        dataclasses.replace(gate, verdict="fail", mode="stop") if gate.gate == "recall" else gate
        for gate in found.gates
    ]
    found = dataclasses.replace(found, gates=failed)
    build.smoke.unlink()
    stamps.path(build.folder, smoke.NAME).unlink()
    found.write(build.refused)
    stamps.note_failure(build.folder, smoke.NAME, found.problems()[0])
    history.append(build)

    (record,) = records(build)
    assert (record.outcome, record.stopped_at) == ("refused", "smoke")
    assert record.answers[-1].answer == "I am SmolLM."


def test_another_stop_is_not_another_build(build):
    """A daemon that did not answer and then did leaves one record: the model is the same."""
    stamps.note_failure(build.folder, "register", "no Ollama")
    history.append(build)
    assert [record.outcome for record in records(build)] == ["stopped"]
    stamps.failure_path(build.folder, smoke.NAME).with_name("register.failed").unlink()
    history.append(build)

    assert [record.outcome for record in records(build)] != ["stopped"]
    assert len(records(build)) == 1


def test_a_manifest_that_changed_since_is_not_of_the_build(build):
    """The record of a stop tells what the file was made with, not what persona.toml says now."""
    history.append(build)
    manifest = build.persona.folder / "persona.toml"
    manifest.write_text(manifest.read_text().replace('"Luma"', '"Nova"'))
    changed = build_of(build.persona.folder)
    stamps.note_failure(build.folder, "register", "no Ollama")
    history.append(changed)

    (record,) = records(build)
    assert record.settings["data"]["identity.name"] == "Luma"
    assert record.outcome == "stopped"


def test_a_build_that_is_refused_before_any_stage_is_not_noted(build, tmp_path):
    """A base that is no base leaves the history and the list as they were."""
    history.append(build)
    before = records(build)
    (tmp_path / "empty").mkdir()
    manifest = build.persona.folder / "persona.toml"
    manifest.write_text(f'{manifest.read_text()}\n[base]\ncpu = "{tmp_path / "empty"}"\n')

    done = run_persona("build", "luma", cwd=build.persona.folder.parent.parent)

    assert done.returncode == 1
    assert "config.json" in done.stderr
    assert records(build) == before


def test_a_build_that_came_to_no_gate_is_not_noted(luma):
    """Without an examination there is nothing to compare, and no folder is made."""
    build = build_of(luma)
    with pytest.raises(PersonaError):
        history.append(build)
    pipeline.run(build, (base, data), cli.Console())
    history.append(build)

    assert not (build.folder / "history").exists()


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"schema": 1}', '{"schema": 9}', "\udcff"])
def test_a_damaged_record_is_left_out(build, text):
    """A record that is cut, or of another version, is as if it were not there."""
    history.append(build)
    damaged = build.folder / "history" / "2020-x.json"
    damaged.write_bytes(text.encode("utf-8", "surrogateescape"))

    assert len(records(build)) == 1


def test_a_record_holds_no_file(build):
    """It is JSON of a known schema, small beside what it tells of."""
    history.append(build)
    (path,) = (build.folder / "history").iterdir()

    assert json.loads(path.read_text())["schema"] == history.SCHEMA
    assert path.stat().st_size < 20_000


@pytest.mark.parametrize(
    "changes",
    [
        {"settings": 3},
        {"gates": {}},
        {"gates": [{"gate": "recall"}]},
        {"answers": [{"gate": 1}]},
        {"took_s": []},
        {"rows": "many"},
    ],
)
def test_a_record_of_wrong_types_is_left_out(build, changes):
    """Whatever a record holds, the others can be read and compared."""
    history.append(build)
    (path,) = (build.folder / "history").iterdir()
    damaged = {**json.loads(path.read_text()), **changes}
    path.with_name("1.json").write_text(json.dumps(damaged))

    assert len(records(build)) == 1
