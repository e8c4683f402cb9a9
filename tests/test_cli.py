"""What is typed, what is seen, and exit codes."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from builder import cli
from builder.commands import group
from builder.engine import pipeline
from tests.conftest import ROOT, run_persona
from tests.forks import CLOSED, run_python, start_python
from tests.streams import full_disk, gone_reader

COMMANDS = (
    *("new", "build", "why", "list", "show", "chat", "report", "diff", "keys", "bases"),
    *("remove", "clean", "doctor"),
)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_its_help(project, command):
    """`--help` of each command ends with 0 and says what it does; the README or `just` names it."""
    done = run_persona(command, "--help", cwd=project)

    assert done.returncode == 0
    assert done.stdout.startswith(f"Usage: just {command}")
    assert f"\n{command} *args: _environment" in (ROOT / "justfile").read_text()


def read_groups(text, heading):
    """Read what each group of a list holds, by its title in small letters."""
    groups = {}
    for line in text.splitlines():
        if title := re.fullmatch(heading, line):
            group = groups.setdefault(title[1].casefold(), [])
        elif groups and (name := re.match(r" +([a-z][a-z-]*)\b", line)):
            group.append(name[1])
    return groups


def test_the_help_lists_the_commands_by_what_they_are_for(project):
    """`--help` begins with the five that a newcomer needs, and has every command once."""
    done = run_persona("--help", cwd=project)
    groups = read_groups(done.stdout.partition("exit.\n")[2], r"(\w[\w ]*):")

    assert next(iter(groups.values())) == ["new", "show", "build", "chat", "doctor"]
    listed = [name for names in groups.values() for name in names]
    assert sorted(listed) == sorted(group.commands.commands)


@pytest.mark.skipif(shutil.which("just") is None, reason="there is no just")
def test_just_lists_the_recipes_as_the_help_does():
    """`just` groups the recipes of commands as `--help` does, and leaves none without a group."""
    shown = subprocess.run(["just"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    recipes = read_groups(shown, r" +\[([\w ]+)\]")
    first = shown.splitlines()[1]

    assert first.strip() == f"[{next(iter(group.GROUPS)).casefold()}]"
    for title, listed in group.GROUPS.items():
        names = [command.name for command in listed if command.name != "completion"]
        assert recipes[title.casefold()] == names


def test_no_name_lists_the_personas(luma):
    """`build` alone says how it is called, and what there is to build."""
    done = run_persona("build", cwd=luma.parent.parent)

    assert (done.returncode, done.stdout) == (0, "luma\n")
    assert "usage: just build NAME..." in done.stderr


@pytest.mark.parametrize("name", ["a/b", "../luma", "Luma", "/", "x" * 200, "nobody"])
@pytest.mark.parametrize("command", ["build", "why", "show", "chat", "report"])
def test_a_name_that_is_none_ends_with_1(luma, command, name):
    """Each command refuses a name that is no persona's, in one sentence, and writes nothing."""
    root = luma.parent.parent
    done = run_persona(command, name, cwd=root)

    assert done.returncode == 1
    assert done.stderr.count("error: ") == 1
    assert not (root / "build").exists()


@pytest.mark.parametrize("typed", ["../personas/luma", "./luma", "personas/a/luma", "FULL"])
@pytest.mark.parametrize(
    "command", ["build", "why", "show", "chat", "gates", "report", "diff", "clean"]
)
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
    assert capsys.readouterr().out.startswith("base      runs: never built\n")
    assert cli.main(["chat", typed]) == cli.MENDABLE
    assert capsys.readouterr().err.endswith("hint: just build luma\n")
    assert cli.main(["clean", typed, "--yes"]) == cli.DONE
    assert not build.exists()
    assert luma.exists()


def test_the_first_lines_can_be_taken_alone(luma):
    """A reader that goes away, as `head` does, is no failure."""
    rows = [
        {"prompt": f"Question {number}?", "completion": f"Answer {number}."}
        for number in range(3000)
    ]
    (luma / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    root, (read, write) = luma.parent.parent, os.pipe()
    with open(os.devnull) as nothing, Path("said").open("w") as said:  # noqa: PTH123 — a device
        streams = [nothing.fileno(), write, said.fileno()]
        shown = start_python("-m", "builder", "show", "luma", cwd=root, streams=streams)
    os.close(write)
    with open(read) as printed:  # noqa: PTH123 — a descriptor
        assert printed.readline().startswith("row 1: ")

    assert shown.wait() == 0, Path("said").read_text()
    assert "Error" not in Path("said").read_text()


def test_an_unknown_option_ends_with_2(luma):
    """What click refuses is a mistake in the typing, and the option that was meant is named."""
    done = run_persona("build", "luma", "--bse", "cpu", cwd=luma.parent.parent)

    assert done.returncode == cli.USAGE
    assert done.stderr.startswith("error: No such option '--bse'. (Did you mean")
    assert "'--base'" in done.stderr
    assert done.stderr.endswith("hint: just build --help\n")


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

    assert json.loads(run_persona("list", "--json", cwd=root).stdout)[0]["name"] == "luma"
    told = json.loads(run_persona("why", "luma", "--json", cwd=root).stdout)
    assert told["data"] == {"state": "runs", "reasons": ["never built"]}


def test_what_is_asked_for_is_on_stdout(luma):
    """The reasons of `why` and the rows of `show` can be piped; nothing else is among them."""
    root = luma.parent.parent

    assert run_persona("why", "luma", cwd=root).stdout.splitlines()[:2] == [
        "base      runs: never built",
        "data      runs: never built",
    ]
    assert run_persona("show", "luma", "1", cwd=root).stdout.splitlines()[:3] == [
        "row 1: 23 tokens, 10 trained on, 6 times an epoch, personas/luma/data.jsonl:1",
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
    """`show` prepares rows that are stale and trains nothing: an edited row is shown as it is."""
    root, data = luma.parent.parent, luma / "data.jsonl"

    first = run_persona("show", "luma", "1", cwd=root)
    data.write_text(data.read_text().replace("made by", "built by"))
    second = run_persona("show", "luma", "1", cwd=root)
    third = run_persona("show", "luma", "1", cwd=root)

    assert "I am Luma, made by Ana." in first.stdout
    assert "I am Luma, built by Ana." in second.stdout
    assert "data      reads the rows: data.jsonl changed" in second.stderr
    assert "data.jsonl" not in third.stderr
    assert sorted(
        path.name for path in (root / "build" / "luma").iterdir() if not path.name.startswith(".")
    ) == ["base", "dataset", "logs"]


def test_a_bug_leaves_a_report(luma, monkeypatch, capsys):
    """What nobody foresaw ends with 3 and a log, without a traceback on the screen."""
    monkeypatch.setattr(pipeline, "plan", lambda *_: 1 // 0)

    assert cli.main(["why", "luma"]) == cli.BUG
    assert "Traceback" not in capsys.readouterr().err
    assert "ZeroDivisionError" in (luma.parent.parent / "build" / "crash.log").read_text()


def test_a_bug_where_nothing_can_be_written_shows_no_traceback(luma, monkeypatch, capsys):
    """Where neither build/ nor the temporary folder takes the log, the sentence comes alone."""
    (luma.parent.parent / "build").write_text("")
    monkeypatch.setattr(cli.tempfile, "tempdir", str(luma / "persona.toml"))
    monkeypatch.setattr(pipeline, "plan", lambda *_: 1 // 0)

    assert cli.main(["why", "luma"]) == cli.BUG
    told = capsys.readouterr().err
    assert told.startswith("error: a bug: ZeroDivisionError")
    assert "Traceback" not in told


def test_rows_are_read_before_a_base_is_fetched(luma):
    """A mistake in the data is told before anything else, also where the base is out of reach."""
    (luma / "data.jsonl").write_text('{"prompt": "Hi", "completion": "{{ nmae }}"}\n')
    done = run_persona("build", "luma", "--base", "nobody/nothing", cwd=luma.parent.parent)

    assert done.returncode == 1
    assert "data.jsonl:1: '{{ nmae }}' is not a placeholder" in done.stderr
    assert "nobody/nothing" not in done.stderr


@pytest.mark.parametrize(
    "command", ["build", "why", "show", "chat", "gates", "report", "diff", "clean"]
)
@pytest.mark.parametrize("typed", ["luna", "LUMA"])
def test_the_persona_that_was_meant_is_named(luma, capsys, command, typed):
    """A typo in a name gets the name that is most like it, and deletes and writes nothing."""
    assert cli.main([command, typed]) == cli.MENDABLE

    assert "; did you mean 'luma'?\n" in capsys.readouterr().err
    assert not (luma.parent.parent / "build").exists()


@pytest.mark.usefixtures("project")
def test_the_command_that_was_meant_is_named(capsys):
    """A typo in a command ends with 2 and the command that is most like it."""
    assert cli.main(["biuld", "luma"]) == cli.USAGE
    assert (
        capsys.readouterr().err
        == "error: No such command 'biuld'. Did you mean 'build'?\nhint: just --help\n"
    )


@pytest.mark.parametrize("command", ["show", "why", "chat", "report", "gates", "remove", "pack"])
def test_without_a_name_the_personas_are_listed(luma, command):
    """A command about one persona says which there are."""
    done = run_persona(command, cwd=luma.parent.parent)

    assert done.returncode == cli.USAGE
    assert done.stderr.splitlines()[0] == "error: no NAME was given, expected a persona: luma"


def test_without_a_name_and_a_terminal_nothing_is_begun(luma):
    """`new` asks for the folder's name at a terminal, and else says that it is missing."""
    done = run_persona("new", cwd=luma.parent.parent)

    assert done.returncode == cli.USAGE
    assert "no NAME was given, expected one for its folder in personas/" in done.stderr


@pytest.mark.parametrize("arguments", [["list"], ["build"], ["build", "luma"], ["why", "luma"]])
def test_a_folder_without_personas_says_what_to_do(tmp_path, monkeypatch, capsys, arguments):
    """Outside a project the one sentence names the folder that is missing."""
    monkeypatch.chdir(tmp_path)

    assert cli.main(arguments) == cli.MENDABLE
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "error: personas/: no such folder here, expected one" in printed.err
    assert printed.err.endswith("hint: go to the folder that holds it, or make personas/NAME/\n")


@pytest.mark.usefixtures("project")
def test_the_version_is_told(capsys):
    """`--version` names the program and its version."""
    assert cli.main(["--version"]) == cli.DONE
    assert capsys.readouterr().out == "persona 0.1.0\n"


def complete(shell, words, *, cwd):
    """Ask for completions as a shell's script does."""
    asked = {"bash": len(words) - 1, "zsh": len(words) - 1, "fish": words[-1]}[shell]
    return run_persona(
        cwd=cwd,
        _PERSONA_COMPLETE=f"{shell}_complete",
        COMP_WORDS=" ".join(words),
        COMP_CWORD=str(asked),
    ).stdout.split()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_commands_and_names_are_completed(luma, shell):
    """Each shell gets the commands and the personas that begin as typed, each name once."""
    root = luma.parent.parent
    (root / "personas" / "ada").mkdir()
    (root / "personas" / "ada" / "persona.toml").touch()
    script = run_persona("completion", shell, cwd=root)

    assert script.returncode == 0
    assert f"_PERSONA_COMPLETE={shell}_complete" in script.stdout
    assert any("gates" in word for word in complete(shell, ["persona", "ga"], cwd=root))
    names = complete(shell, ["persona", "build", "l"], cwd=root)
    assert any("luma" in name for name in names)
    assert not any("ada" in name for name in names)
    assert not any(
        "luma" in name for name in complete(shell, ["persona", "build", "luma", ""], cwd=root)
    )


ASKED_WRONGLY = [
    {},
    {"COMP_WORDS": "persona wh"},
    {"COMP_WORDS": "persona wh", "COMP_CWORD": "two"},
    {"COMP_WORDS": 'persona "wh', "COMP_CWORD": ""},
]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "none"])
@pytest.mark.parametrize("variables", ASKED_WRONGLY)
def test_a_shell_that_asks_in_another_way_gets_no_traceback(luma, shell, variables):
    """Without the variables of a completion nothing is completed, and nothing is said."""
    root = luma.parent.parent
    done = run_persona(cwd=root, _PERSONA_COMPLETE=f"{shell}_complete", **variables)

    assert done.returncode in (0, 1, 2)
    assert not done.stderr


def test_completions_that_nobody_reads_are_no_bug(luma):
    """A full disk under the shell's question is no traceback."""
    variables = {"COMP_WORDS": "persona wh", "COMP_CWORD": "1"}
    with full_disk() as full:
        done = run_persona(
            cwd=luma.parent.parent, _PERSONA_COMPLETE="bash_complete", stdout=full, **variables
        )

    assert done.returncode in (0, 1)
    assert not done.stderr


def test_builds_and_languages_are_completed(luma):
    """`remove` takes the builds, also of a persona that is gone, and `new` the packs' languages."""
    root = luma.parent.parent
    (root / "build" / "lost").mkdir(parents=True)

    assert complete("bash", ["persona", "remove", "l"], cwd=root) == ["plain,lost"]
    words = ["persona", "new", "nova", "--language", "f"]
    assert complete("bash", words, cwd=root) == ["plain,fr"]


def test_bash_completes_by_the_printed_script(luma):
    """The script for bash, evaluated, completes a name in a real bash."""
    root = luma.parent.parent
    (root / "persona").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m builder "$@"\n')
    (root / "persona").chmod(0o755)
    script = (
        'eval "$(persona completion bash)"; COMP_WORDS=(persona why lu); COMP_CWORD=2; '
        '_persona_completion persona lu why; echo "${COMPREPLY[@]}"'
    )

    done = subprocess.run(
        ["bash", "-c", script],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PATH": f"{root}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == "luma\n", done.stderr


@pytest.mark.parametrize(
    "closed",
    [["stdout"], ["stderr"], ["stdout", "stderr"], ["stdin", "stdout", "stderr"]],
    ids=["1", "2", "1 2", "0 1 2"],
)
@pytest.mark.parametrize(
    "command", ["list", "why luma", "why nobody", "show luma 1", "build luma --base no/such"]
)
def test_closed_streams_are_no_bug(luma, closed, command):
    """With a standard stream closed the exit code stays, and no file gets what was to be seen."""
    root = luma.parent.parent
    done = run_persona(*command.split(), cwd=root, **dict.fromkeys(closed, CLOSED))

    assert done.returncode == (1 if "no" in command else 0), done.stderr
    assert not (root / "build" / "crash.log").exists()
    logs = [path.read_text() for path in (root / "build").rglob("*") if path.is_file()]
    assert not any("error: " in text for text in logs)


def test_a_full_disk_under_stdout_is_told(luma):
    """A result that cannot be written ends with 1 and says so."""
    with full_disk() as full:
        done = run_persona("list", cwd=luma.parent.parent, stdout=full)

    assert done.returncode == cli.MENDABLE
    assert done.stderr.startswith("error: standard output: No space left on device")


ASKED = ["", "--help", "list", "why luma", "show luma", "keys", "bases", "doctor", "clean"]


@pytest.mark.parametrize("command", [*ASKED, "gates luma", "push luma --to hf:a/b", "build"])
def test_a_full_disk_under_both_streams_is_no_bug(luma, command):
    """What can be told nowhere ends with the code of a mistake, in every command."""
    with full_disk() as full:
        done = run_persona(*command.split(), cwd=luma.parent.parent, stdout=full, stderr=full)

    assert done.returncode in (cli.MENDABLE, cli.USAGE)
    assert not (luma.parent.parent / "build" / "crash.log").exists()


def test_a_full_disk_under_stderr_is_no_bug(luma):
    """An error that cannot be told ends with its own code, and writes no crash log."""
    root = luma.parent.parent
    with full_disk() as full:
        done = run_persona("why", "nobody", cwd=root, stderr=full)

    assert done.returncode == cli.MENDABLE
    assert not (root / "build" / "crash.log").exists()


def test_a_build_goes_on_where_nobody_reads_of_it(luma):
    """A reader of stderr that goes away changes neither the result nor the exit code."""
    with gone_reader() as gone:
        done = run_persona("show", "luma", "1", cwd=luma.parent.parent, stderr=gone)

    assert done.returncode == 0
    assert done.stdout.startswith("row 1: ")


def test_no_file_takes_the_place_of_a_closed_stream(luma):
    """What is opened after a start with closed streams is not what libraries print to."""
    code = (
        "from builder import cli; cli.main(['list']); made = open('number', 'w'); "
        "made.write(str(made.fileno()))"
    )
    closed = dict.fromkeys(["stdin", "stdout", "stderr"], CLOSED)
    done = run_python("-c", code, cwd=luma.parent.parent, **closed)

    assert done.returncode == 0
    assert int(Path("number").read_text()) > 2


def test_a_row_cannot_move_the_cursor(luma):
    """`show` writes terminal sequences of a row as escapes, and keeps its newlines."""
    (luma / "data.jsonl").write_text(
        json.dumps({"prompt": "Hi\x1b[2J", "completion": "Hello.\nBye."}) + "\n"
    )
    done = run_persona("show", "luma", cwd=luma.parent.parent)

    assert done.returncode == 0, done.stderr
    assert "Hi\\x1b[2J<|im_end|>\n" in done.stdout
    assert "Hello.\nBye.<|im_end|>" in done.stdout


@pytest.mark.usefixtures("luma")
def test_sigterm_is_one_sentence(capsys, monkeypatch):
    """A second one changes nothing; afterwards the process ends by it as before."""

    def end(*_):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(pipeline, "run", end)

    assert cli.main(["build", "luma"]) == cli.TERMINATED
    told = capsys.readouterr().err
    assert told.startswith("error: ended by SIGTERM; what was finished is kept\nhint: run the same")
    assert len(told.splitlines()) == 2
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
