"""What a killed command leaves: the next start clears it, and never what a living process holds."""

import multiprocessing
import os
import signal
from pathlib import Path

import pytest

from builder import cli, files, scaffold, temporaries
from builder.bases import embedded
from builder.bases.base import EMBEDDED, Base
from builder.engine import lock
from builder.training import environment


def stop(*_, **__):
    """Wait to be killed, in the middle of the work."""
    os.write(PIPE[1], b"x")
    signal.pause()


PIPE = os.pipe()


@pytest.fixture
def kill(monkeypatch):
    """Give a function that kills a call once it has come to a function that is replaced."""

    def run(call, place, name):
        with monkeypatch.context() as patched:
            patched.setattr(place, name, stop)
            process = multiprocessing.get_context("fork").Process(target=call)
            process.start()
            os.read(PIPE[0], 1)
            process.kill()
            process.join()

    return run


def list_hidden(folder):
    return sorted(path.name for path in folder.iterdir() if path.name.endswith(temporaries.SUFFIX))


def new(name):
    assert cli.main(["new", name, "--name", "Nova", "--author", "Ana", "--language", "en"]) == 0


def test_the_next_command_clears_what_a_killed_new_left(project, kill):
    """A half-written persona goes, and not only when one of its name is made again."""
    kill(lambda: new("nova"), scaffold, "write_manifest")
    assert list_hidden(project / "personas")

    cli.main(["list"])

    assert not list_hidden(project / "personas")


def test_a_killed_pack_leaves_nothing_beside_the_next(tmp_path, kill):
    """What was being written as one file goes when that file is written again."""
    path = tmp_path / "luma.persona"
    kill(lambda: files.write_json(path, {}), files, "sync")
    assert list_hidden(tmp_path)

    files.write_json(path, {})

    assert [path.name for path in tmp_path.iterdir()] == ["luma.persona"]


def test_the_next_command_clears_what_a_killed_clean_left(project, kill):
    """A build of which nothing but the lock is left is no build."""
    build = project / "build" / "nova"
    build.mkdir(parents=True)
    (build / "model.gguf").write_text("")
    kill(lambda: cli.main(["clean", "nova", "--yes"]), Path, "unlink")
    files.remove(build / "model.gguf")

    cli.main(["list"])

    assert not build.exists()


def test_a_build_that_has_begun_is_not_cleared(tmp_path):
    """A folder whose lock is held stays, though nothing is in it yet."""
    with lock.locked(tmp_path / "nova"):
        lock.clear(tmp_path)
        assert (tmp_path / "nova" / lock.LOCK).exists()


def test_what_a_living_process_holds_is_not_cleared(tmp_path):
    """Two processes write the same file at once, and neither clears the other's half."""
    with temporaries.held(tmp_path / "file") as one, temporaries.held(tmp_path / "file") as other:
        temporaries.clear(tmp_path)
        assert one.is_dir()
        assert other.is_dir()
    assert not list_hidden(tmp_path)


def test_other_files_are_not_cleared(tmp_path):
    """Only what has the form of a temporary folder's name goes, and no link is followed."""
    target = tmp_path / "target"
    target.mkdir()
    (tmp_path / ".file.0123abcd.tmp").symlink_to(target)
    (tmp_path / ".notes.tmp").write_text("")
    (tmp_path / ".luma.2024.tmp").mkdir()
    os.mkfifo(tmp_path / ".pipe.0123abcd.tmp")

    temporaries.clear(tmp_path)

    assert target.is_dir()
    assert (tmp_path / ".notes.tmp").exists()
    assert (tmp_path / ".luma.2024.tmp").exists()


def test_a_killed_unpacking_of_the_embedded_base_is_cleared(tmp_path, monkeypatch, kill):
    """A half-written checkpoint goes, also one of a revision that is not used any more."""
    from builder.bases import checkpoint

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    first = Base(EMBEDDED, "embedded", "1", EMBEDDED, "1", four_bit=True)
    kill(lambda: embedded.find_checkpoint(first), checkpoint, "write_checkpoint")
    assert list_hidden(tmp_path / "persona")

    def write(_source, folder):
        (folder / "config.json").write_text("{}")

    monkeypatch.setattr(checkpoint, "write_checkpoint", write)
    second = Base(EMBEDDED, "embedded", "2", EMBEDDED, "1", four_bit=True)
    embedded.find_checkpoint(second)

    assert not list_hidden(tmp_path / "persona")


def test_unsloth_files_of_a_killed_worker_are_cleared(tmp_path, monkeypatch, kill):
    """The folder for compiled code is the process's own, and goes at the next training."""
    monkeypatch.setattr(environment.tempfile, "tempdir", str(tmp_path))
    for name in list(os.environ):  # restored after the test
        monkeypatch.setenv(name, os.environ[name])
    kill(environment.prepare, environment, "_find_compile_cache")
    (left,) = list_hidden(tmp_path)

    environment.prepare()

    (own,) = list_hidden(tmp_path)
    assert own != left
    assert os.environ["UNSLOTH_COMPILE_LOCATION"].startswith(str(tmp_path / own))
