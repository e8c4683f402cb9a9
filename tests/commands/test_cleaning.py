"""Deleting builds: what is told first, what is asked, and what is left alone."""

import json
import os
import shutil

import pytest

from builder import cli
from builder.engine import pipeline
from tests.conftest import run_persona
from tests.pseudoterminal import opened

RECEIPT = {
    "schema": 5,
    "model": "luma:latest",
    "digest": "d",
    "url": "http://127.0.0.1:1",
    "ollama": "0.34.2",
    "blob": "b",
    "num_ctx": 4096,
    "let_through": [],
    "compared": [],
}


@pytest.fixture
def root(luma):
    """A project with a build of two megabytes, and one of a persona that is gone."""
    root = luma.parent.parent
    for name in ("luma", "lost"):
        (root / "build" / name / "logs").mkdir(parents=True)
        (root / "build" / name / "model.gguf").write_bytes(b"x" * 20_000_000)
    return root


def test_it_takes_names_only(luma, root):
    """`clean` deletes a build and nothing beside it; a path is refused."""
    (root / "build" / "luma" / "link").symlink_to(luma)

    assert run_persona("clean", "../personas", "--yes", cwd=root).returncode == 1
    told = run_persona("clean", cwd=root)
    assert (told.returncode, told.stdout) == (0, "lost\t0.02 GB\nluma\t0.02 GB\n")
    assert run_persona("clean", "luma", "--yes", cwd=root).returncode == 0
    assert not (root / "build" / "luma").exists()
    assert (luma / "persona.toml").exists()


def test_where_there_is_no_build_it_says_so(root):
    """`clean` without names announces no empty list."""
    shutil.rmtree(root / "build")

    told = run_persona("clean", cwd=root)

    assert (told.returncode, told.stdout) == (0, "")
    assert "there is no build here" in told.stderr


@pytest.mark.parametrize("folder", ["build", "personas"])
def test_names_of_folders_move_and_forge_no_line(root, folder):
    """`clean` and `build` without names write control characters as escapes, a line a name."""
    (root / folder / "e\x1b[31mX\nerror: forged").mkdir()
    (root / folder / "e\x1b[31mX\nerror: forged" / "persona.toml").touch()

    told = run_persona("clean" if folder == "build" else "build", cwd=root).stdout.splitlines()

    assert len(told) == (3 if folder == "build" else 2)
    assert told[0].startswith(r"e\x1b[31mX\nerror: forged")


def test_what_is_freed_is_told_and_asked_for(root):
    """At a terminal it lists sizes and what stays in Ollama; only yes deletes."""
    (root / "build" / "luma" / "registered.json").write_text(json.dumps(RECEIPT))
    for answer, code, is_there in (("n", 1, True), ("y", 0, False)):
        with opened("clean", "luma", "lost", cwd=root) as terminal:
            terminal.wait_for("Delete this?")
            assert "build/luma  0.02 GB" in terminal.text
            assert "luma:latest stays in Ollama; `just remove luma`" in terminal.text
            assert "build/lost  0.02 GB" in terminal.text
            terminal.type(f"{answer}\r")
            assert terminal.end() == code
        assert (root / "build" / "luma" / "model.gguf").exists() == is_there
        assert (root / "build" / "lost").exists() == is_there


def test_the_record_of_a_model_in_ollama_is_kept(root):
    """What is left of a build is the receipt, by which its model is known; it is no build."""
    receipt = root / "build" / "luma" / "registered.json"
    receipt.write_text(json.dumps(RECEIPT))
    done = run_persona("clean", "luma", "--yes", cwd=root)
    again = run_persona("clean", "luma", "--yes", cwd=root)

    assert "but for registered.json, the record of luma:latest in Ollama" in done.stderr
    assert [path.name for path in receipt.parent.iterdir()] == ["registered.json"]
    assert json.loads(receipt.read_text()) == RECEIPT
    assert (again.returncode, again.stderr) == (0, "luma has no build\n")
    assert run_persona("clean", cwd=root).stdout == "lost\t0.02 GB\n"


def test_without_a_terminal_nothing_is_deleted_unasked(root):
    """Where nobody can be asked it lists, says `--yes`, and ends with 2."""
    done = run_persona("clean", "luma", cwd=root, typed="y\n")

    assert done.returncode == cli.USAGE
    assert "build/luma  0.02 GB\n" in done.stderr
    assert "so nobody can be asked, expected --yes" in done.stderr
    assert (root / "build" / "luma").exists()


def test_a_wrong_name_among_several_deletes_nothing(root):
    """All names are read before the first build is deleted, and each wrong one is told."""
    done = run_persona("clean", "luma", "lots", "nobody", "--yes", cwd=root)

    assert done.returncode == 1
    assert "build/lots: no such build, expected one; did you mean 'lost'?" in done.stderr
    assert "build/nobody: no such build" in done.stderr
    assert (root / "build" / "luma").exists()


def test_what_is_being_built_is_not_deleted(root):
    """`clean` leaves a build alone that another process has, says which, and goes on."""
    with pipeline.locked(root / "build" / "luma"):
        done = run_persona("clean", "luma", "lost", "luma", "--yes", cwd=root)

    assert done.returncode == 1
    assert f"build/luma: is being built by process {os.getpid()}" in done.stderr
    assert done.stderr.rstrip().endswith("failed: luma")
    assert (root / "build" / "luma").is_dir()
    assert not (root / "build" / "lost").exists()


def test_where_there_is_no_build_nothing_is_asked(root):
    """A persona that was never built is said to be so, and that is no failure."""
    assert run_persona("clean", "luma", "--yes", cwd=root).returncode == 0
    done = run_persona("clean", "luma", cwd=root)

    assert (done.returncode, done.stderr) == (0, "luma has no build\n")


def test_the_last_build_ends_in_twenty_columns(root):
    """On a narrow terminal it asks and deletes as on any other."""
    with opened("clean", "luma", cwd=root, columns=20) as terminal:
        terminal.wait_for("Delete this?")
        terminal.type("y\r")
        assert terminal.end() == 0
    assert not (root / "build" / "luma").exists()


def read_json(*arguments, cwd):
    """Run a command that must end well, and read the one value that it prints."""
    done = run_persona(*arguments, "--json", cwd=cwd)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_json_lists_and_deletes_only_with_yes(root):
    """Without --yes nobody is asked and nothing goes; with it each build tells that it is gone."""
    (root / "build" / "luma" / "registered.json").write_text(json.dumps(RECEIPT))
    every, named = read_json("clean", cwd=root), read_json("clean", "luma", cwd=root)

    assert [one["name"] for one in every] == ["lost", "luma"]
    assert named == every[1:]
    (luma,) = named
    assert luma["size_bytes"] >= 20_000_000
    assert (luma["folder"], luma["model"], luma["is_deleted"]) == (
        "build/luma",
        "luma:latest",
        False,
    )
    assert (root / "build" / "luma").exists()
    assert read_json("clean", "luma", "--yes", cwd=root) == [{**luma, "is_deleted": True}]
    assert not (root / "build" / "luma" / "model.gguf").exists()
    assert read_json("clean", "luma", "--yes", cwd=root) == []


def test_json_tells_what_could_not_be_deleted(root):
    """A build that is under way is told as not deleted, beside the one that is; the code is 1."""
    with pipeline.locked(root / "build" / "luma"):
        done = run_persona("clean", "luma", "lost", "--yes", "--json", cwd=root)

    assert done.returncode == 1
    told = {one["name"]: one["is_deleted"] for one in json.loads(done.stdout)}
    assert told == {"luma": False, "lost": True}
    assert "is being built by" in done.stderr
