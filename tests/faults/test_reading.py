"""Files that cannot be read as they are, and machines that read them otherwise."""

import ast
import contextlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pyarrow.parquet  # noqa: F401 — imported before another user reads
import pytest

from builder import cli, persona
from builder.data import rows
from builder.errors import DataError, ManifestError, PersonaError
from builder.ollama import modelfile
from tests.conftest import ROOT

NOBODY = 65534
READ = """
import sys
from pathlib import Path
from builder import persona
from builder.data import rows
from builder.errors import PersonaError
try:
    read = persona.read(Path(sys.argv[1]))
    for row in rows.read(read.data_files, read.manifest.data, read.manifest.identity):
        print(ascii([message["content"] for message in row.messages]))
except PersonaError as error:
    print(ascii(error.problems[0]), ascii(error.hint))
"""


def read_elsewhere(folder, **environment):
    """Read a persona in a process with another locale; Python's own UTF-8 mode is off."""
    done = subprocess.run(
        [sys.executable, "-c", READ, folder],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "0", **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def list_calls(path):
    """List the calls of a module that read or write a text file, and say if they name UTF-8."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            values = [*node.args, *(keyword.value for keyword in node.keywords)]
            is_ours = getattr(node.func.value, "id", "") == "files"  # which reads UTF-8 alone
            if node.func.attr in ("read_text", "write_text") and not is_ours:
                told = [value.value for value in values if isinstance(value, ast.Constant)]
                yield f"{path.name}:{node.lineno}", "utf-8" in told


@pytest.mark.parametrize("path", list((ROOT / "builder").rglob("*.py")), ids=lambda path: path.stem)
def test_no_text_is_read_or_written_by_the_locale(path):
    """Each text file of a build names UTF-8: elsewhere another locale would decide."""
    assert [where for where, is_named in list_calls(path) if not is_named] == []


@pytest.mark.parametrize("locale", ["C", "POSIX", "C.UTF-8"])
def test_files_are_utf8_whatever_the_locale(luma, locale):
    """A manifest and rows in Chinese are read alike where the locale knows ASCII alone."""
    (luma / "persona.toml").write_text('[identity]\nname = "甲"\n', "utf-8")
    (luma / "data.jsonl").write_text('{"prompt": "谁？", "completion": "{{ name }}é"}\n', "utf-8")

    told = read_elsewhere(luma, LC_ALL=locale, PYTHONCOERCECLOCALE="0")

    assert told == ascii(["谁？", "甲é"]) + "\n"


def test_a_name_that_the_locale_lacks_is_told(luma):
    """A data file's name beyond ASCII cannot be opened under LC_ALL=C: the sentence says so."""
    (luma / "persona.toml").write_text('[data]\nfiles = ["数.jsonl"]\n', "utf-8")
    (luma / "数.jsonl").write_text('{"prompt": "a", "completion": "b"}\n')

    told = read_elsewhere(luma, LC_ALL="C", PYTHONCOERCECLOCALE="0")

    assert "cannot be written in this locale, expected UTF-8' 'set LC_ALL=C.UTF-8'" in told
    assert read_elsewhere(luma, LC_ALL="C.UTF-8") == "['a', 'b']\n"


def check(folder):
    """Check all of a persona, as a build does before its first stage."""
    read = persona.read(folder)
    rows.read(read.data_files, read.manifest.data, read.manifest.identity)
    modelfile.check(read, folder.parent.parent / "Modelfile.j2")


@contextlib.contextmanager
def as_nobody():
    """Act without root's right to read everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def shared():
    """Make a good persona that every user may read, in a folder of its own."""
    with tempfile.TemporaryDirectory() as made:
        root = Path(made)
        root.chmod(0o755)
        folder = root / "personas" / "p"
        folder.mkdir(parents=True)
        (folder / "persona.toml").write_text("")
        (folder / "data.jsonl").write_text('{"prompt": "a", "completion": "b"}\n')
        (root / "Modelfile.j2").write_text((ROOT / "Modelfile.j2").read_text("utf-8"))
        check(folder)  # imports what another user may not read
        yield folder


@pytest.mark.parametrize("name", ["persona.toml", "data.jsonl", "d.parquet", "../../Modelfile.j2"])
def test_a_file_that_may_not_be_read_is_told(shared, name):
    """A file without the right to read it is one sentence that names it."""
    if name == "d.parquet":
        (shared / "persona.toml").write_text('data.files = ["d.parquet"]')
    path = shared / name
    path.touch()
    path.chmod(0)

    with as_nobody(), pytest.raises(PersonaError) as told:
        check(shared)

    (problem,) = told.value.problems
    assert problem.startswith(f"{os.path.normpath(path)}: ")
    assert "Permission denied" in problem


def test_a_folder_that_may_not_be_entered_is_told(shared):
    """A persona's folder, or one of its data, without the right to enter it is one sentence."""
    (shared / "persona.toml").write_text('data.files = ["in/d.jsonl"]')
    (shared / "in").mkdir(mode=0)
    with as_nobody():
        read = persona.read(shared)
        with pytest.raises(DataError, match=r"in/d\.jsonl: Permission denied, expected to read"):
            rows.read(read.data_files, read.manifest.data, None)

    shared.chmod(0)
    with as_nobody(), pytest.raises(ManifestError, match=r"persona\.toml: Permission denied"):
        persona.read(shared)
    shared.chmod(0o755)


@pytest.mark.parametrize("command", ["list", "build"])
def test_personas_that_may_not_be_listed_are_told(shared, monkeypatch, capsys, command):
    """They are not said to be none."""
    monkeypatch.chdir(shared.parent.parent)
    assert cli.main([command]) == 0  # imports what another user may not read
    capsys.readouterr()
    shared.parent.chmod(0o311)
    with as_nobody():
        code = cli.main([command])
    shared.parent.chmod(0o755)

    assert code == cli.MENDABLE
    told = "error: personas/: Permission denied, expected a folder that can be read"
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "folder"),
    [
        (["new", "foo", "--name", "Foo", "--author", "me", "--language", "en"], "personas"),
        (["build", "p"], "project"),
    ],
)
def test_a_project_that_may_not_be_written_is_told(shared, monkeypatch, capsys, words, folder):
    """The sentence names the folder, and no temporary name in it."""
    project = shared.parent.parent / "project"
    project.mkdir()
    shared.parent.rename(project / "personas")
    monkeypatch.chdir(project)
    with as_nobody():
        code = cli.main(words)

    assert code == cli.MENDABLE
    told = capsys.readouterr().err
    assert f"{folder}: Permission denied, expected a folder that can be read and written" in told


def test_a_device_is_not_read(luma):
    """A data file that is a device, by a link within the folder, is never opened."""
    if os.geteuid() != 0:
        pytest.skip("only root makes a device")
    try:
        os.mknod(luma / "d.jsonl", 0o600 | 0o020000, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("this machine lets nobody make a device")
    (luma / "persona.toml").write_text('data.files = ["d.jsonl"]')
    read = persona.read(luma)

    with pytest.raises(DataError, match="is a pipe, a socket or a device, expected a file"):
        rows.read(read.data_files, read.manifest.data, None)


def test_a_file_of_more_than_anybody_writes_is_not_read(luma):
    """A sparse file of 2 GiB takes no memory: it is told by its size."""
    with (luma / "data.jsonl").open("w") as file:
        file.truncate(2 << 30)
    read = persona.read(luma)

    with pytest.raises(DataError, match="is 2,048 MiB, expected at most 1,024"):
        rows.read(read.data_files, read.manifest.data, None)
