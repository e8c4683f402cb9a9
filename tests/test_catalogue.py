"""The list of personas: what each build came to, from files alone."""

import json
import os
import re
import shutil
import time

import pytest

from builder import catalogue, targets
from builder.engine import stamps
from builder.engine.lock import locked
from builder.engine.stamps import Description, Stamp
from builder.evaluation.report import Finding
from builder.report import contents, verdict
from builder.stages import smoke
from tests.conftest import build_of, run_persona
from tests.pseudoterminal import opened
from tests.report.pages import make_found
from tests.streams import gone_reader

GATES = [
    Finding("recall", "pass"),
    Finding("stop", "fail", right=1, of=40, limit=0.97, told="ends 1 of 40 answers"),
    Finding("retention", "fail", mode="advice"),
    Finding("greeting", "not enough evidence"),
    Finding("format", "does not apply"),
]


@pytest.fixture
def built(luma):
    """A finished build's files, as the list reads them."""
    build = build_of(luma)
    for folder in (build.folder / ".stamps", build.base, build.logs):
        folder.mkdir(parents=True)
    build.gguf.write_bytes(b"x" * 20_000_000)
    make_found(gates=[*GATES[:1], *GATES[2:]]).write(build.smoke)
    make_found(gates=GATES).write(build.refused)
    (build.base / "base.json").write_text('{"source": "owner/name"}')
    for stage in targets.MODEL:
        inputs = {"model.gguf": "export"} if stage.NAME == "smoke" else {}
        description = Description(stage.VERSION, {}, inputs)
        stamp = Stamp(description, stage.NAME, "done", took_s=None, tools={})
        stamps.write(build.folder, stage.NAME, stamp)
    build.receipt.write_text('{"model": "luma:latest", "let_through": ["stop"]}')
    return build


def read(build):
    return next(catalogue.read(build.folder.parent.parent))


def touch_later(path):
    later_ns = time.time_ns() + 10**9
    path.touch()
    os.utime(path, ns=(later_ns, later_ns))


def test_a_persona_without_a_build_was_never_built(luma):
    """Of one that was never built nothing else is known; rows alone are no build."""
    build = build_of(luma)
    assert read(build).state == "never built"
    build.dataset.mkdir(parents=True)

    entry = read(build)
    assert (entry.state, entry.built, entry.base, entry.size_bytes) == (
        *("never built", False),
        *(None, None),
    )
    assert (entry.passed, entry.failed, entry.model, entry.let_through) == (None, [], None, [])


def test_rows_that_were_shown_are_no_build(built):
    """`show` prepares base and rows; a build has begun where another stage has run."""
    built.gguf.unlink()
    for stage in targets.MODEL[2:]:
        stamps.path(built.folder, stage.NAME).unlink()
    assert read(built).state == "never built"


def test_a_build_that_was_cut_short_is_half_built(built):
    """Where stages ran, and no finished file is there, that is told as `chat` and `pack` do."""
    root = built.folder.parent.parent
    built.gguf.unlink()

    assert read(built).state == "half built"
    for command in (("chat", "luma"), ("pack", "luma")):
        done = run_persona(*command, cwd=root)
        assert "luma: is half built: model.gguf is not there yet" in done.stderr
    shutil.rmtree(built.folder)
    assert read(built).state == "never built"
    assert "luma: was never built" in run_persona("pack", "luma", cwd=root).stderr


def test_a_build_that_runs_is_told_as_in_use(built):
    """Neither the last result nor half a build is told while another process is at it."""
    root = built.folder.parent.parent
    built.gguf.unlink()
    with locked(built.folder):
        assert read(built).state == "in use"
        done = run_persona("chat", "luma", cwd=root)

    assert f"luma: is in use by process {os.getpid()}" in done.stderr


def test_a_damaged_lock_hides_no_persona(built):
    """A pipe in its place is told by the commands that need the lock."""
    (built.folder / ".lock").unlink(missing_ok=True)
    os.mkfifo(built.folder / ".lock")

    assert read(built).state == "built"


def test_what_a_build_came_to(built):
    """Base, size, gates, name in Ollama and what was let through are read from its files."""
    entry = read(built)

    assert (entry.state, entry.built, entry.base) == ("built", True, "owner/name")
    assert (entry.size_bytes, entry.passed, entry.advised, entry.unsure) == (20_000_000, 1, 1, 1)
    assert (entry.failed, entry.model, entry.let_through) == ([], "luma:latest", ["stop"])
    assert not entry.model_is_older


@pytest.mark.parametrize("file", ["persona.toml", "data.jsonl", "../../Modelfile.j2"])
def test_a_file_that_was_changed_since_makes_it_doubtful(built, file):
    """A build that is older than what a person wrote may be stale; one that ended later is not."""
    touch_later(built.persona.folder / file)
    assert read(built).state == "stale?"

    end = built.folder / "history" / "end.json"
    end.parent.mkdir()
    touch_later(end)
    assert read(built).state == "built"


def test_another_version_of_a_stage_makes_it_doubtful(built):
    """A stage that is of another version, or never ran, is told; but for registration."""
    path = stamps.path(built.folder, smoke.NAME)
    whole = path.read_text()
    path.write_text(json.dumps({"schema": stamps.SCHEMA, "version": smoke.VERSION - 1}))
    assert read(built).state == "stale?"
    path.write_text(whole)
    (built.folder / ".stamps" / "train.json").unlink()
    assert read(built).state == "stale?"


def test_rows_that_were_prepared_since_make_it_doubtful(built):
    """`show` prepares edited rows, after which the model is of other ones."""
    touch_later(built.folder / ".stamps" / "data.json")

    assert read(built).state == "stale?"


def test_without_ollama_a_build_is_whole(built):
    """Where nothing was registered, for want of an Ollama, a build is not stale."""
    (built.folder / ".stamps" / "register.json").unlink()
    built.receipt.unlink()

    assert (read(built).state, read(built).model) == ("built", None)


@pytest.mark.parametrize(
    ("stage", "state", "failed"), [("smoke", "refused", ["stop"]), ("train", "stopped", [])]
)
def test_a_build_that_did_not_end_well(built, stage, state, failed):
    """A gate's refusal is told apart from any other stop; what is in Ollama is then older."""
    failure = make_found(gates=GATES).problems()[0] if stage == "smoke" else "it failed"
    (built.folder / ".stamps" / f"{stage}.failed").write_text(f"{failure}\n")

    entry = read(built)

    assert (entry.state, entry.stopped_at, entry.failed) == (state, stage, failed)
    assert entry.model_is_older


def test_the_list_counts_as_the_page_does(built, with_rows):
    """Both tell the gates of the file that is there by one count, the list in fewer words."""
    root = built.folder.parent.parent

    def tell():
        listed = run_persona("list", cwd=root).stdout
        return listed, verdict.judge(contents.gather(with_rows)).sentence

    words = ("1 passed, 1 advice", "1 passed, 1 failed as advice, 1 without")
    assert all(one in told for one, told in zip(words, tell(), strict=True))
    refused = make_found(gates=GATES).problems()[0]
    path = built.folder / ".stamps" / "smoke.failed"
    path.write_text(f"{refused}\n")
    words = (
        "1 passed, 1 failed, 1 advice",
        "1 passed, failed: stop, 1 failed as advice, 1 without",
    )
    assert all(one in told for one, told in zip(words, tell(), strict=True))
    path.write_text("smoke: the process was ended by SIGKILL\n")
    assert all("passed" not in told for told in tell())
    assert read(built).state == "stopped"


def test_gates_of_another_file_are_not_counted(built):
    """Once the file is made anew, what the old one was asked says nothing of it."""
    path = built.folder / ".stamps" / "export.json"
    path.write_text(path.read_text().replace('"export"', '"another"'))

    assert read(built).passed is None


@pytest.mark.parametrize("text", ["", "[]", '{"gates": 3, "failed": "x", "model": []}', "{"])
def test_what_is_damaged_is_left_out(built, text):
    """A file that is cut or of another form is as if it were not there."""
    for path in (built.smoke, built.receipt, built.base / "base.json"):
        path.write_text(text)

    entry = read(built)
    assert (entry.base, entry.model, entry.failed, entry.let_through) == (None, None, [], [])


def test_it_is_a_table_and_json(built):
    """`list` prints a line a persona under heads, and with `--json` the same as objects."""
    root = built.folder.parent.parent
    (root / "personas" / "ada").mkdir()
    (root / "personas" / "ada" / "persona.toml").touch()

    lines = run_persona("list", cwd=root).stdout.splitlines()
    entries = json.loads(run_persona("list", "--json", cwd=root).stdout)

    assert lines[0].split() == ["persona", "state", "base", "size", "gates", "Ollama"]
    assert lines[1].split() == ["ada", "never", "built"]
    cells = ["luma", "--anyway", "owner/name", "0.02 GB", "1 passed, 1 advice"]
    assert re.split(r"  +", lines[2]) == [*cells, "luma"]
    assert [entry["name"] for entry in entries] == ["ada", "luma"]
    assert entries[1]["let_through"] == ["stop"]
    assert entries[0]["state"] == "never built"


def test_eighty_columns_have_a_line_a_persona(built):
    """Gates that failed, and what --anyway let through, break no table of an ordinary terminal."""
    (built.base / "base.json").write_text('{"source": "smollm2-135m-instruct"}')
    with opened("list", cwd=built.folder.parent.parent, columns=80) as terminal:
        assert terminal.end() == 0
        assert len(terminal.lines) == 2
        assert terminal.lines[1].endswith("1 passed, 1 advice  luma")


@pytest.mark.parametrize("environment", [{}, {"TERM": "dumb"}], ids=["xterm", "dumb"])
def test_twenty_columns_have_a_line_a_value(built, environment):
    """On a narrow terminal each persona's name is a line, and its values stand below."""
    root = built.folder.parent.parent
    with opened("list", cwd=root, columns=20, **environment) as terminal:
        assert terminal.end() == 0
        assert terminal.lines[:3] == ["luma", "  state: --anyway", "  base: owner/name"]
        assert ("\x1b" in terminal.seen) != bool(environment)


@pytest.mark.parametrize("command", ["list", "show luma"])
def test_a_reader_that_has_gone_is_no_failure(luma, command):
    """With stdout closed by its reader the exit code is 0, and there is no traceback."""
    with gone_reader() as gone:
        done = run_persona(*command.split(), cwd=luma.parent.parent, stdout=gone)

    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert not (luma.parent.parent / "build" / "crash.log").exists()


def test_a_locale_without_utf_8_lists(built):
    """Where the terminal's encoding lacks a character it is an escape."""
    (built.base / "base.json").write_text('{"source": "所有者/name"}')
    root = built.folder.parent.parent
    done = run_persona("list", cwd=root, LC_ALL="C", PYTHONIOENCODING="ascii")

    assert done.returncode == 0, done.stderr
    assert "\\u6240" in done.stdout


def test_no_persona_says_how_to_begin_one(project):
    """An empty project is told the command that begins a persona."""
    done = run_persona("list", cwd=project)

    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "there is no persona yet: `just new NAME` begins one\n"
