"""--replace puts an archive's persona and build in place of others, which nothing loses."""

import multiprocessing
import os
import time
from pathlib import Path

import pytest

from builder.archive import placement
from builder.engine.lock import locked
from builder.errors import PersonaError, ToolError
from builder.project import Project
from tests.archive.builds import read_members, snapshot, write_archive

# Renames of one unpacking, at most.
MOST = 60
KILLED = 9
# A build that came back after a kill may be examined once more.
UNCOMPARED = ".unpacked.json"


@pytest.fixture
def replaced(packed, home):
    """Give a project with a persona and a build of the name that differ from the archive's."""
    placement.unpack(packed, Project(home), is_replacing=False)
    for path in ("personas/luma/data.jsonl", "build/luma/model.gguf", "build/luma/smoke.json"):
        (home / path).write_text(f"old {path}")
    for path in ("personas/luma/notes.txt", "build/luma/gates.json", "build/luma/registered.json"):
        (home / path).write_text(f"mine {path}")
    (home / "build" / "luma" / ".stamps" / "smoke.failed").write_text("old")
    return home


def show(home):
    """Give what is in a project, but for what may differ."""
    files = snapshot(home / "personas", home / "build")
    return {path: content for path, content in files.items() if not path.endswith(UNCOMPARED)}


def test_what_a_name_is_taken_by_is_left_alone(packed, replaced):
    """Without --replace a persona or a build of the name refuses the archive, each alone too."""
    before = show(replaced)
    with pytest.raises(ToolError, match="already exists") as told:
        placement.unpack(packed, Project(replaced), is_replacing=False)
    assert [Path(problem.split(":")[0]).parent.name for problem in told.value.problems] == [
        "personas",
        "build",
    ]
    assert show(replaced) == before

    (replaced / "build").rename(replaced / "elsewhere")
    with pytest.raises(ToolError, match="personas/luma: already exists"):
        placement.unpack(packed, Project(replaced), is_replacing=False)
    assert not (replaced / "build" / "luma").exists()


def test_replacing_leaves_only_the_archive_and_the_receipt(packed, replaced):
    """What tells of the old model goes; the receipt stays, so that Ollama's model is still ours."""
    placement.unpack(packed, Project(replaced), is_replacing=True)

    after = {Path(path).relative_to(replaced).as_posix(): c for path, c in show(replaced).items()}
    members = read_members(packed)
    assert after.pop("build/luma/registered.json") == b"mine build/luma/registered.json"
    assert after == members


def test_a_build_that_is_under_way_is_not_replaced(packed, replaced):
    """The build's lock is taken first."""
    before = show(replaced)
    with (
        locked(replaced / "build" / "luma"),
        pytest.raises(ToolError, match="is being built by process"),
    ):
        placement.unpack(packed, Project(replaced), is_replacing=True)
    assert show(replaced) == before


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), KeyboardInterrupt()])
def test_each_rename_that_fails_loses_nothing(packed, replaced, monkeypatch, error):
    """Whichever rename is refused or interrupted, the old persona and build are there whole."""
    before, rename = show(replaced), Path.rename
    for at in range(MOST):
        left = [at]

        def fail(path, target, left=left):
            left[0] -= 1
            if left[0] == -1:
                raise error
            return rename(path, target)

        monkeypatch.setattr(Path, "rename", fail)
        try:
            placement.unpack(packed, Project(replaced), is_replacing=True)
        except (PersonaError, KeyboardInterrupt):
            assert show(replaced) == before, at
            assert not list((replaced / "personas").glob(".*")), at
        else:
            break
    assert 20 < at < MOST - 1
    assert show(replaced) != before


def unpack_and_die(packed, home, at):
    """Unpack over a build in a process that ends at a rename, as if it were killed."""
    rename = Path.rename

    def die(path, target):
        nonlocal at
        at -= 1
        if at == -1:
            os._exit(KILLED)
        return rename(path, target)

    Path.rename = die
    placement.unpack(packed, Project(home), is_replacing=True)


def test_each_kill_loses_nothing(packed, replaced, tmp_path):
    """Wherever it is killed, the next unpacking finds the old build, though it fails itself."""
    before, bad = show(replaced), tmp_path / "bad.persona"
    members = read_members(packed)
    write_archive(bad, {**members, "build/luma/model.gguf": b"not the stamp's"})
    fork = multiprocessing.get_context("fork")
    for at in range(MOST):
        child = fork.Process(target=unpack_and_die, args=(packed, replaced, at))
        child.start()
        child.join()
        if child.exitcode != KILLED:
            break
        with pytest.raises(PersonaError, match="stamp"):
            placement.unpack(bad, Project(replaced), is_replacing=True)
        assert show(replaced) == before, at
    assert 20 < at < MOST - 1
    assert child.exitcode == 0


def test_a_persona_that_a_killed_unpacking_moved_is_told(replaced):
    """It is not there until the next unpacking, and the sentence says how it comes back."""
    folder = replaced / "personas" / "luma"
    staged = replaced / "personas" / ".luma.unpacking"
    staged.mkdir()
    folder.rename(staged / "old")

    with pytest.raises(PersonaError, match="as an unpacking was killed") as caught:
        Project(replaced).build("luma")

    assert "unpack FILE --replace" in caught.value.hint


@pytest.mark.parametrize("is_placed", [False, True], ids=["before it is placed", "after"])
def test_rows_that_were_written_after_a_kill_stay(packed, replaced, caplog, is_placed):
    """The old persona is kept beside them, though the next unpacking is refused."""
    folder = replaced / "personas" / "luma"
    before = (folder / "data.jsonl").read_text()
    staged = replaced / "personas" / ".luma.unpacking"
    staged.mkdir()
    folder.rename(staged / "old")
    (staged / "luma").mkdir()
    if is_placed:
        (staged / "luma").rename(folder)
    folder.mkdir(exist_ok=True)
    time.sleep(0.02)
    (folder / "data.jsonl").write_text("my own rows")

    with pytest.raises(PersonaError, match="already exists"):
        placement.unpack(packed, Project(replaced), is_replacing=False)

    assert (folder / "data.jsonl").read_text() == "my own rows"
    (kept,) = (replaced / "personas").glob(".luma.replaced-*")
    assert (kept / "data.jsonl").read_text() == before
    assert str(kept) in caplog.text


def test_what_clean_left_is_no_build(packed, replaced, monkeypatch):
    """A receipt alone is in nobody's way, and stays whether the unpacking fails or not."""
    receipt = replaced / "build" / "luma" / "registered.json"
    for folder in ("personas", "build"):
        (replaced / folder).rename(replaced / f"old {folder}")
    receipt.parent.mkdir(parents=True)
    (replaced / "personas").mkdir()
    receipt.write_text("mine")

    with monkeypatch.context() as patch:
        patch.setattr(placement, "_swap", lambda *_: (_ for _ in ()).throw(ToolError("full")))
        with pytest.raises(ToolError, match="full"):
            placement.unpack(packed, Project(replaced), is_replacing=False)
    assert [path.name for path in receipt.parent.iterdir()] == ["registered.json"]
    placement.unpack(packed, Project(replaced), is_replacing=False)
    assert receipt.read_text() == "mine"
    assert (receipt.parent / "model.gguf").exists()
