"""Whatever a machine or a kill left of a build, each command answers in a sentence."""

import contextlib
import fcntl
import json
import multiprocessing
import os
import shutil
import time

import pytest

from builder import cli, files
from builder.bases import choose
from builder.bases.base import EMBEDDED, Base
from builder.data import replay
from builder.engine import lock, pipeline, publish, stamps
from builder.errors import ToolError, describe_refusal
from tests.conftest import build_of, run_persona
from tests.faults.test_publishing import CHAIN, Inputs, make_stage
from tests.streams import full_disk

COMMANDS = (
    ["why", "luma"],
    ["list", "--json"],
    ["report", "luma"],
    ["remove", "luma", "--yes"],
    ["clean", "luma", "--yes"],
    ["clean"],
)


@pytest.fixture
def built(luma):
    """Make the folder of a build in which every stage has a stamp."""
    folder = luma.parent.parent / "build" / "luma"
    (folder / ".stamps").mkdir(parents=True)
    for name in ("base", "data"):
        (folder / ".stamps" / f"{name}.json").write_text("{}")
    return folder


def ask(command, capfd):
    """Run a command; give its exit code and what it said."""
    code = cli.main(command)
    return code, capfd.readouterr().err


DAMAGES = {
    "lock-pipe": lambda build: os.mkfifo(build / ".lock"),
    "lock-folder": lambda build: (build / ".lock").mkdir(),
    "lock-bytes": lambda build: (build / ".lock").write_bytes(b"\xff\xfe"),
    "lock-loop": lambda build: (build / ".lock").symlink_to(".lock"),
    "stamp-pipe": lambda build: os.mkfifo(build / ".stamps" / "train.json"),
    "failure-pipe": lambda build: os.mkfifo(build / ".stamps" / "train.failed"),
    "receipt-pipe": lambda build: os.mkfifo(build / "registered.json"),
    "base-pipe": lambda build: [(build / "base").mkdir(), os.mkfifo(build / "base" / "base.json")],
    "build-file": lambda build: [shutil.rmtree(build), build.write_text("")],
    "builds-file": lambda build: [shutil.rmtree(build.parent), build.parent.write_text("")],
    "build-loop": lambda build: [shutil.rmtree(build), build.symlink_to("luma")],
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("damage", DAMAGES)
def test_no_command_hangs_or_ends_in_a_bug(built, capfd, damage, command):
    """A pipe, a folder or a loop of links in the place of a file is taken or told, never opened."""
    DAMAGES[damage](built)

    code, said = ask(command, capfd)

    assert code in (0, 1), said
    assert "a bug" not in said


STAMPS = [
    {"settings": [], "inputs": {}},
    {"settings": {}, "inputs": 3},
    {"settings": None, "inputs": {}},
    {"settings": {}, "inputs": {}, "output": None},
    {"settings": {}, "inputs": {}, "summary": 3},
    {"settings": {}, "inputs": {}, "version": "1"},
]


@pytest.mark.parametrize("changes", STAMPS)
def test_a_stamp_of_wrong_types_is_none(luma, changes):
    """A stamp whose values are of other types than were written is not read; the stage runs."""
    build = build_of(luma)
    pipeline.run(build, CHAIN, NoConsole())
    path = stamps.path(build.folder, CHAIN[0].NAME)
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    assert stamps.read(build.folder, CHAIN[0].NAME) is None
    assert pipeline.run(build, CHAIN, NoConsole()).has_run


class NoConsole:
    """A console that says nothing."""

    def __getattr__(self, _name):
        return lambda *_, **__: contextlib.nullcontext()


def test_what_the_machine_refuses_is_told_by_every_command(luma, monkeypatch, capfd):
    """An error of the operating system is a sentence with the file, whichever command met it."""

    def refuse(*_, **__):
        raise OSError(28, "No space left on device", "/somewhere/file")

    monkeypatch.setattr(pipeline, "plan", refuse)

    code, said = ask(["why", luma.name], capfd)

    assert code == 1
    problem = "/somewhere/file: No space left on device, expected room in /somewhere"
    assert said == f"error: {problem}\nhint: free some disk\n"


def test_no_memory_is_told(luma, monkeypatch, capfd):
    """Where there is no memory left, that is said."""

    def refuse(*_, **__):
        raise MemoryError

    monkeypatch.setattr(pipeline, "plan", refuse)

    code, said = ask(["why", luma.name], capfd)

    assert code == 1
    assert "this machine ran out of memory" in said


@pytest.mark.parametrize("number", [27, 28, 122])
def test_a_full_disk_a_quota_and_a_limit_name_the_folder(tmp_path, number):
    """Whichever way there is no room, the sentence names the file and where room is missing."""
    error = OSError(number, os.strerror(number), str(tmp_path / "file"))

    told = describe_refusal(error, tmp_path)

    assert told.problems[0].endswith(f"expected room in {tmp_path}")


@pytest.mark.parametrize(("path", "folder"), [("/missing", "/"), ("missing", None), ("a/b", "a")])
def test_a_file_that_may_not_be_made_names_its_folder(tmp_path, monkeypatch, path, folder):
    """The folder refuses, whether it is the root, the present one or another."""
    monkeypatch.chdir(tmp_path)

    told = describe_refusal(PermissionError(13, "Permission denied", path), tmp_path)

    expected = "Permission denied, expected a folder that can be read and written"
    assert told.problems == (f"{folder or tmp_path}: {expected}",)


def hold(folder, guard, deadline_s, *, is_cleaning, broken):
    """Take a build's lock again and again, and see that nobody else has it meanwhile."""
    while time.monotonic() < deadline_s:
        try:
            with lock.locked(folder):
                try:
                    descriptor = os.open(guard, os.O_CREAT | os.O_EXCL)
                except FileExistsError:
                    broken.value = 1
                    return
                os.close(descriptor)
                (folder / "output").write_text("x")
                if is_cleaning:
                    guard.unlink()
                    # From here on nobody may build until the lock itself is gone.
                    lock.delete(folder)
                else:
                    if not (folder / "output").exists():
                        broken.value = 1
                    guard.unlink()
        except ToolError:
            continue


def test_clean_and_a_build_never_both_hold_the_lock(tmp_path):
    """While builds are begun and deleted at once, each has its folder to itself."""
    context = multiprocessing.get_context("fork")
    broken, folder, guard = context.Value("i", 0), tmp_path / "luma", tmp_path / "guard"
    deadline_s = time.monotonic() + 3
    processes = [
        context.Process(
            target=hold,
            args=(folder, guard, deadline_s),
            kwargs={"is_cleaning": number == 0, "broken": broken},
        )
        for number in range(3)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()

    assert broken.value == 0
    assert all(process.exitcode == 0 for process in processes)


def test_deleting_leaves_the_lock_until_the_rest_is_gone(tmp_path, monkeypatch):
    """While a build's files are deleted, another process is told who is there."""
    folder, seen = tmp_path / "luma", []
    remove = files.remove

    def watch(path):
        with pytest.raises(ToolError, match="is being built by process"), lock.locked(folder):
            pass
        seen.append(path.name)
        remove(path)

    with lock.locked(folder):
        (folder / "a").write_text("")
        (folder / "b").mkdir()
        monkeypatch.setattr(files, "remove", watch)
        lock.delete(folder)

    assert sorted(seen) == ["a", "b"]
    assert not folder.exists()


def test_what_a_killed_process_was_writing_into_the_cache_is_removed(tmp_path):
    """Temporary files of this file go, whatever process wrote them; those of others stay."""
    path = tmp_path / "base.gguf"
    for name in (".base.gguf.0123abcd.tmp", ".other.gguf.0123abcd.tmp", ".notes.tmp"):
        (tmp_path / name).write_text("half")

    with files.waiting_for(path), (tmp_path / ".base.gguf.lock").open() as other:
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        names = sorted(entry.name for entry in tmp_path.iterdir())

    assert names == [".base.gguf.lock", ".notes.tmp", ".other.gguf.0123abcd.tmp"]


def test_pinning_a_base_removes_what_a_kill_left_of_its_lock(tmp_path):
    """A half-written base.lock does not stay in the persona's folder, and it is written."""
    half = tmp_path / ".base.lock.0123abcd.tmp"
    half.write_text("{")
    pinned = Base(EMBEDDED, "embedded", "1", EMBEDDED, "1", four_bit=False)

    choose.write_pins(tmp_path / "base.lock", pinned)

    assert [path.name for path in tmp_path.iterdir()] == ["base.lock"]


def test_a_stage_keeps_one_scratch_folder(luma):
    """Checkpoints of other settings go when a stage is tried with new ones, though it fails."""

    def fail(_inputs, work):
        (work.scratch / "checkpoint").write_text("half")
        raise ToolError("no")

    stage = make_stage("first", lambda build: CHAIN[0].inputs(build).source, "first.txt", fail)
    for text in ("one", "two", "three"):
        (luma / "data.jsonl").write_text(text)
        with contextlib.suppress(ToolError):
            pipeline.run(build_of(luma), (stage,), NoConsole())

    assert len(list((build_of(luma).folder / publish.WORK).iterdir())) == 1


def test_an_output_removed_on_purpose_does_not_come_back(luma):
    """What was removed by hand is built anew, also where an older one lies beside it."""
    build = build_of(luma)
    pipeline.run(build, CHAIN, NoConsole())
    output = CHAIN[0].output(build)
    output.unlink()
    aside = output.with_name(f".{output.name}.old")
    aside.write_text("older")

    pipeline.run(build, CHAIN, NoConsole())

    assert output.read_text() == Inputs(CHAIN[0].inputs(build).source).source.path.read_text() + "!"
    assert not aside.exists()


@pytest.mark.parametrize("cached", [None, 3, {}, [3], [{"ask": "a"}], [{"ask": 1, "answer": "b"}]])
def test_damaged_answers_of_the_cache_are_not_read(cached):
    """Answers that are not as they were written are asked again."""
    assert replay.check_pairs(cached) is None
    assert replay.check_pairs([{"ask": "a", "answer": "b"}]) == [{"ask": "a", "answer": "b"}]


def test_a_full_cache_loses_nothing(tmp_path, monkeypatch):
    """What only saves time is not written where there is no room, and nobody is told."""

    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "replacing", refuse)

    files.write_cached(tmp_path / "hashes.json", {})
    files.write_cached(files.cache_folder() / "x" / "y.json", {})


SURROUNDINGS = {
    "a SOCKS proxy": {"ALL_PROXY": "socks5://127.0.0.1:1080"},
    "a proxy that is none": {"HTTP_PROXY": "nonsense://["},
    "no certificates": {"SSL_CERT_FILE": "/nowhere"},
    "an address of bytes": {"OLLAMA_HOST": "\udcff"},
    "half an address": {"OLLAMA_HOST": "http://["},
    "columns that only look like a number": {"COLUMNS": "²"},
    "lines of thousands of digits": {"LINES": "9" * 5000},
    "no home": {"HOME": "/nowhere", "XDG_CACHE_HOME": "/proc/nowhere"},
}


@pytest.mark.parametrize("surroundings", SURROUNDINGS.values(), ids=SURROUNDINGS)
@pytest.mark.parametrize("command", [["list"], ["remove", "luma", "--yes"]], ids=" ".join)
def test_no_variable_ends_a_command_in_a_traceback(built, command, surroundings):
    """Proxies, certificates and addresses of any text are ignored or told."""
    root = built.parent.parent
    variables = {"OLLAMA_HOST": "127.0.0.1:9", **surroundings}

    done = run_persona(*command, cwd=root, **variables)

    assert done.returncode == (command[0] == "remove"), done.stderr
    assert done.stderr.startswith("error: ") or not done.stderr
    assert "a bug" not in done.stderr


@pytest.mark.parametrize("command", [["list"], ["doctor"], ["show", "luma"]], ids=" ".join)
@pytest.mark.parametrize(
    ("variable", "expected"),
    [
        ("HF_ENDPOINT=http://[", "the address of a hub"),
        ("HF_HUB_DOWNLOAD_TIMEOUT=abc", "a whole number of seconds"),
        ("HF_HUB_ETAG_TIMEOUT=", "a whole number of seconds"),
    ],
)
def test_variables_that_a_library_fails_on_are_told(luma, capfd, command, variable, expected):
    """Where the hub's client could not even be imported, the variable is named."""
    name, text = variable.split("=")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv(name, text)
        code, said = ask(command, capfd)

    assert code == 1
    assert said == f"error: {name}: is {text!r}, expected {expected}\nhint: unset {name}\n"
    assert not (luma.parent.parent / "build").exists()


@pytest.mark.parametrize("command", ["list", "keys", "bases", "why luma"])
def test_a_full_place_for_results_is_named(built, command):
    """What cannot be printed is told as standard output's, whichever way it is drawn."""
    with full_disk() as full:
        done = run_persona(*command.split(), cwd=built.parent.parent, stdout=full)

    assert done.returncode == 1
    assert "error: standard output: No space left on device" in done.stderr


@pytest.mark.parametrize(
    ("typed", "told"), [("\udcff/x", "is not UTF-8"), ("", "is blank"), (" ", "is blank")]
)
def test_a_base_that_is_no_text_is_a_mistake_of_use(luma, capfd, typed, told):
    """Bytes that are no UTF-8, and an unset variable's blank, are refused before a build begins."""
    code, said = ask(["build", luma.name, "--base", typed], capfd)

    assert code == 2
    assert told in said
    assert not (luma.parent.parent / "build").exists()


def test_new_takes_no_name_that_a_build_refuses(project, capfd):
    """A name of more characters than the manifest takes is refused when it is typed."""
    code, said = ask(["new", "nova", "--name", "x" * 201], capfd)

    assert code == 1
    assert "--name: has 201 characters, expected at most 200" in said
    assert not (project / "personas" / "nova").exists()


PINS = {
    "pipe": (os.mkfifo, "is a pipe, a socket or a device, expected a file"),
    "folder": (os.mkdir, "is a folder, expected a file"),
    "loop": (lambda path: path.symlink_to(path.name), "Too many levels of symbolic links"),
}


@pytest.mark.parametrize("damage", PINS)
def test_a_base_lock_that_cannot_be_read_is_told_as_what_it_is(tmp_path, damage):
    """What lies in its place is named, and a link that leads nowhere is not taken for none."""
    make, told = PINS[damage]
    make(tmp_path / "base.lock")

    with pytest.raises(ToolError, match=told) as error:
        choose.read_pins(tmp_path / "base.lock")

    assert error.value.hint == f"delete {tmp_path / 'base.lock'} to pin today's revisions"


def test_a_log_that_is_a_pipe_is_told(luma):
    """Whatever waits in the place of a log, a build does not wait for it to be read."""
    build = build_of(luma)
    logs = build.folder / "logs"
    logs.mkdir(parents=True)
    (logs / "gone.log").symlink_to("nowhere")
    pipeline.run(build, CHAIN, NoConsole())
    os.mkfifo(logs / "start-unsloth.log")
    (luma / "data.jsonl").write_text("more")

    with pytest.raises(ToolError, match=r"start-unsloth\.log: is a pipe") as told:
        pipeline.run(build, CHAIN, NoConsole())

    assert told.value.hint == f"delete {logs / 'start-unsloth.log'}"


@pytest.mark.timeout(60)
def test_the_note_of_a_failure_takes_the_place_of_a_pipe(luma):
    """A failure is noted and read again, whatever lay where its note is written."""
    build = build_of(luma)
    path = stamps.failure_path(build.folder, CHAIN[0].NAME)
    path.parent.mkdir(parents=True)
    os.mkfifo(path)
    assert stamps.read_failure(build.folder, CHAIN[0].NAME) == ""

    stamps.note_failure(build.folder, CHAIN[0].NAME, "no")

    assert stamps.read_failure(build.folder, CHAIN[0].NAME) == "no"


def test_a_blank_place_for_an_archive_is_a_mistake_of_use(capfd):
    """An unset variable's blank does not take over the folder one stands in."""
    for command in (["pack", "luma", "--output", ""], ["unpack", " "]):
        code, said = ask(command, capfd)
        assert code == 2
        assert "is blank, expected a file" in said


def test_a_mistake_of_use_is_one_line(capfd):
    """The choices of an argument that is missing are told in the same line."""
    code, said = ask(["completion"], capfd)

    assert code == 2
    assert said.startswith(
        "error: Missing argument '{bash|zsh|fish}'. Choose from: bash, zsh, fish"
    )
