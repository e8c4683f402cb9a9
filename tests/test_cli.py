"""What is typed, what is seen, and exit codes."""

import json
import os
import subprocess
import sys

import pytest

from builder import cli
from builder.engine import pipeline
from tests.conftest import ROOT, run_persona

COMMANDS = ("build", "why", "list", "show", "chat", "clean")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_its_help(project, command):
    """`--help` of each command ends with 0 and says what it does; the README or `just` names it."""
    done = run_persona(command, "--help", cwd=project)

    assert done.returncode == 0
    assert done.stdout.startswith(f"usage: persona {command}")
    assert f"\n{command} *args: _environment" in (ROOT / "justfile").read_text()


def test_no_name_lists_the_personas(luma):
    """`build` alone says how it is called, and what there is to build."""
    done = run_persona("build", cwd=luma.parent.parent)

    assert (done.returncode, done.stdout) == (0, "luma\n")
    assert "usage: just build NAME..." in done.stderr


@pytest.mark.parametrize("name", ["a/b", "../luma", "Luma", "/", "x" * 200, "nobody"])
@pytest.mark.parametrize("command", ["build", "why", "show", "chat"])
def test_a_name_that_is_none_ends_with_1(luma, command, name):
    """Each command refuses a name that is no persona's, in one sentence, and writes nothing."""
    root = luma.parent.parent
    done = run_persona(command, name, cwd=root)

    assert done.returncode == 1
    assert done.stderr.count("error: ") == 1
    assert not (root / "build").exists()


@pytest.mark.parametrize("typed", ["../personas/luma", "./luma", "personas/a/luma", "FULL"])
@pytest.mark.parametrize("command", ["build", "why", "show", "chat", "gates", "clean"])
def test_a_name_is_no_path(luma, capsys, command, typed):
    """A path is no name, in one sentence, whatever lies there, and nothing is written."""
    root = luma.parent.parent
    before = sorted(root.rglob("*"))

    assert cli.main([command, typed.replace("FULL", str(luma))]) == cli.MENDABLE
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ")
    assert printed.err.endswith("is a path, expected the name of a folder in personas/\n")
    assert len(printed.err.splitlines()) == 1
    assert sorted(root.rglob("*")) == before


@pytest.mark.parametrize("typed", ["luma", "luma/", "personas/luma", "personas/luma/"])
def test_a_name_may_be_completed_by_a_shell(luma, capsys, typed):
    """What a shell makes of a name is that name: the same build, and the same hint."""
    build = luma.parent.parent / "build" / "luma"
    build.mkdir(parents=True)

    assert cli.main(["why", typed]) == cli.DONE
    assert capsys.readouterr().out.startswith("base      never built\n")
    assert cli.main(["chat", typed]) == cli.MENDABLE
    assert capsys.readouterr().err.endswith("hint: just build luma\n")
    assert cli.main(["clean", typed]) == cli.DONE
    assert not build.exists()
    assert luma.exists()


def test_the_first_lines_can_be_taken_alone(luma):
    """A reader that goes away, as `head` does, is no failure."""
    rows = [
        {"prompt": f"Question {number}?", "completion": f"Answer {number}."}
        for number in range(3000)
    ]
    (luma / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    with subprocess.Popen(
        [sys.executable, "-m", "builder", "show", "luma"],
        cwd=luma.parent.parent,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as shown:
        assert shown.stdout.readline().startswith(b"row 1: ")
        shown.stdout.close()
        said = shown.stderr.read()

    assert shown.returncode == 0, said
    assert b"Error" not in said


def test_clean_takes_names_only(luma):
    """`clean` deletes a build and nothing beside it; a path is refused."""
    root = luma.parent.parent
    (root / "build" / "luma").mkdir(parents=True)
    (root / "build" / "luma" / "model.gguf").write_bytes(b"x" * 2_000_000)

    assert run_persona("clean", "../personas", cwd=root).returncode == 1
    told = run_persona("clean", cwd=root)
    assert (told.returncode, told.stdout) == (0, "luma\t0.00 GB\n")
    assert run_persona("clean", "luma", cwd=root).returncode == 0
    assert not (root / "build" / "luma").exists()
    assert (luma / "persona.toml").exists()


def test_what_is_being_built_is_not_deleted(luma):
    """`clean` leaves a build alone that another process has, and says which."""
    root = luma.parent.parent

    with pipeline.locked(root / "build" / "luma"):
        done = run_persona("clean", "luma", cwd=root)

    assert done.returncode == 1
    assert f"build/luma: is being built by process {os.getpid()}" in done.stderr
    assert (root / "build" / "luma").is_dir()


def test_an_unknown_option_ends_with_2(luma):
    """What argparse refuses is a mistake in the typing."""
    assert (
        run_persona("build", "luma", "--bse", "cpu", cwd=luma.parent.parent).returncode == cli.USAGE
    )


def test_a_failed_persona_does_not_hold_up_the_next(luma):
    """Of several names each is tried, and the failed ones are named at the end."""
    root = luma.parent.parent
    for name in ("ada", "bob"):
        (root / "personas" / name).mkdir()
    (root / "personas" / "bob" / "persona.toml").write_text('[identity]\nauthor = "Bob"\n')

    done = run_persona("build", "ada", "bob", cwd=root)

    assert done.returncode == 1
    assert "identity.name: is missing" in done.stderr
    assert done.stderr.rstrip().endswith("failed: ada, bob")


def test_the_machine_readable_is_json(luma):
    """`list --json` and `why --json` print one JSON value on stdout."""
    root = luma.parent.parent

    assert json.loads(run_persona("list", "--json", cwd=root).stdout) == ["luma"]
    assert json.loads(run_persona("why", "luma", "--json", cwd=root).stdout)["data"] == [
        "base is stale"
    ]


def test_what_is_asked_for_is_on_stdout(luma):
    """The reasons of `why` and the rows of `show` can be piped; nothing else is among them."""
    root = luma.parent.parent

    assert run_persona("why", "luma", cwd=root).stdout.splitlines()[:2] == [
        "base      never built",
        "data      base is stale",
    ]
    assert run_persona("show", "luma", "1", cwd=root).stdout.splitlines()[:3] == [
        "row 1: 23 tokens, 10 trained on, 6 times an epoch",
        "<|im_start|>user",
        "Who are you?<|im_end|>",
    ]


@pytest.mark.parametrize("command", ["gates", "chat"])
def test_what_is_not_built_says_how_to_build_it(luma, command):
    """Asking or talking before a build names the command that is missing."""
    done = run_persona(command, "luma", cwd=luma.parent.parent)

    assert done.returncode == 1
    assert "hint: just build luma" in done.stderr


def test_rows_are_shown_as_they_would_be_trained_on_now(luma):
    """`show` prepares the rows where that is stale, and trains nothing: an edited row is not shown as it was."""
    root, data = luma.parent.parent, luma / "data.jsonl"

    first = run_persona("show", "luma", "1", cwd=root)
    data.write_text(data.read_text().replace("made by", "built by"))
    second = run_persona("show", "luma", "1", cwd=root)
    third = run_persona("show", "luma", "1", cwd=root)

    assert "I am Luma, made by Ana." in first.stdout
    assert "I am Luma, built by Ana." in second.stdout
    assert "data      data.jsonl changed" in second.stderr
    assert "data.jsonl" not in third.stderr
    assert sorted(
        path.name for path in (root / "build" / "luma").iterdir() if not path.name.startswith(".")
    ) == ["base", "dataset", "logs"]


def test_a_bug_leaves_a_report(luma, monkeypatch, capsys):
    """What nobody foresaw ends with 3 and a log, without a traceback on the screen."""
    monkeypatch.setattr(cli.pipeline, "plan", lambda _job: 1 // 0)

    assert cli.main(["why", "luma"]) == cli.BUG
    assert "Traceback" not in capsys.readouterr().err
    assert "ZeroDivisionError" in (luma.parent.parent / "build" / "crash.log").read_text()


def test_a_model_let_through_by_hand_is_listed_so(luma):
    """`list` names the gates that failed and were let through; of others it gives the name alone."""
    root = luma.parent.parent
    receipt = root / "build" / "luma" / "registered.json"
    receipt.parent.mkdir(parents=True)
    receipt.write_text(json.dumps({"let_through": ["recall", "stop"]}))
    assert run_persona("list", cwd=root).stdout == "luma\tlet through by --anyway: recall, stop\n"

    receipt.write_text(json.dumps({"let_through": []}))
    assert run_persona("list", cwd=root).stdout == "luma\n"


def test_rows_are_read_before_a_base_is_fetched(luma):
    """A mistake in the data is told before anything else, also where the base is out of reach."""
    (luma / "data.jsonl").write_text('{"prompt": "Hi", "completion": "{{ nmae }}"}\n')
    done = run_persona("build", "luma", "--base", "nobody/nothing", cwd=luma.parent.parent)

    assert done.returncode == 1
    assert "data.jsonl:1: '{{ nmae }}' is no placeholder" in done.stderr
    assert "nobody/nothing" not in done.stderr
