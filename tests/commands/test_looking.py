"""What `why` says of builds whose stages are all there."""

import json
import os
import shutil

import pytest

from builder import targets
from builder.engine import freshness, publish
from builder.engine.hashes import Hashes
from builder.engine.lock import locked
from builder.stages import train
from tests.archive.builds import finish, write_persona
from tests.conftest import build_of, run_persona
from tests.pseudoterminal import opened

SYSTEM = '[ollama]\nsystem = "You are kind."\n'


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Make a project with a build of a persona that has a system text, once."""
    root = tmp_path_factory.mktemp("finished")
    path = write_persona(root) / "persona.toml"
    path.write_text(path.read_text() + SYSTEM)
    finish(path.parent)
    return root


@pytest.fixture
def built(finished, tmp_path):
    """Give a copy of it, all of whose stages are fresh but for registration."""
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    return build_of(tmp_path / "personas" / "luma")


def ask_why(build, *options):
    root = build.modelfile_template.parent
    done = run_persona("why", "luma", *options, cwd=root, OLLAMA_HOST="")
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def set_share(build, share):
    path = build.persona.folder / "persona.toml"
    path.write_text(path.read_text() + f"[training]\nsystem_share = {share}\n")


def test_a_system_text_that_is_no_longer_trained_is_told_by_the_share(built):
    """`training.system_share = 0` is told, and not that a text is gone which is still served."""
    assert json.loads(ask_why(built, "--json"))["data"] == {"state": "fresh", "reasons": []}
    set_share(built, 0)

    told = json.loads(ask_why(built, "--json"))
    reason = "training.system_share is now 0.0, was 0.5"
    assert told["data"] == {"state": "runs", "reasons": [reason]}
    assert told["replay"]["reasons"] == ["training.system_share now leaves ollama.system out"]
    condition = "if the output of data or replay changes"
    assert told["train"] == {"state": "may run", "reasons": [condition]}
    printed = ask_why(built).splitlines()
    assert f"train     may run: {condition}" in printed
    assert "data      runs: training.system_share is now 0.0, was 0.5" in printed
    assert "null" not in "\n".join(printed)
    assert "None" not in "\n".join(printed)


def test_a_system_text_that_is_gone_is_told_by_itself(built):
    """That its share decides nothing without it is nothing that a person changed."""
    path = built.persona.folder / "persona.toml"
    path.write_text(path.read_text().replace(SYSTEM, ""))

    told = json.loads(ask_why(built, "--json"))
    assert told["data"]["reasons"] == ["ollama.system is now not set, was You are kind."]


def test_a_build_that_is_running_is_told_by_its_stages(built):
    """While a build has the lock nothing is judged, and each stage is being built."""
    with locked(built.folder):
        told = json.loads(ask_why(built, "--json"))

    assert [*told] == [stage.NAME for stage in targets.MODEL]
    assert {one["state"] for one in told.values()} == {"being built"}
    assert told["data"]["reasons"] == [f"is being built by process {os.getpid()}"]


def test_what_is_said_of_no_stage_stands_last(built):
    """That Ollama does not answer is a note below the stages, where nothing is aligned with it."""
    root = built.modelfile_template.parent
    with opened("why", "luma", cwd=root, columns=200, OLLAMA_HOST="127.0.0.1:9") as terminal:
        assert terminal.end() == 0
    assert terminal.lines[0].startswith("base ")
    assert terminal.lines[-1].startswith("Ollama at http://127.0.0.1:9 does not answer")


def test_a_training_that_was_cut_short_goes_on_from_its_step(built):
    """A checkpoint of the settings that are set now is told, of a stage that runs."""
    path = built.persona.folder / "persona.toml"
    path.write_text(path.read_text() + "[training]\nlearning_rate = 0.0001\n")
    build = build_of(built.persona.folder)
    described = freshness.describe(train, build, train.inputs(build), Hashes(build.folder))
    checkpoint = publish.scratch_folder(train, build, described) / "checkpoint-25"
    checkpoint.mkdir(parents=True)
    state = {"global_step": 25, "max_steps": 543}
    (checkpoint / "trainer_state.json").write_text(json.dumps(state))

    reason = "training.learning_rate is now 0.0001, was 0.0005"
    told = json.loads(ask_why(build, "--json"))["train"]["reasons"]
    assert told == [reason, "goes on from step 25 of 543"]
    assert f"train     runs: {reason}; goes on from step 25 of 543" in ask_why(build).splitlines()
