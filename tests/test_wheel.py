"""The wheel: what `pip install` puts into an environment works without the repository."""

import importlib.util
import os
import pwd
import shutil
import subprocess
import sys
import zipfile

import pytest

from builder import persona
from builder.data import examples
from tests.conftest import ROOT

# What the script `persona`, which an installer makes of the entry point, does.
SCRIPT = """
import sys
from importlib.metadata import entry_points
(script,) = entry_points(group="console_scripts", name="persona")
sys.exit(script.load()())
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    """Build the wheel of this checkout, and unpack it where an installer would."""
    out, unpacked = tmp_path_factory.mktemp("wheel"), tmp_path_factory.mktemp("unpacked")
    tool = ["uv", "build", "--wheel", "--quiet", "--out-dir", str(out)]
    if importlib.util.find_spec("hatchling"):
        tool = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
    # The user's own home, for uv's cache and settings: conftest hides both.
    home = pwd.getpwuid(os.getuid()).pw_dir
    environment = {name: os.environ[name] for name in os.environ if name != "XDG_CACHE_HOME"}
    subprocess.run(
        tool, cwd=ROOT, env={**environment, "HOME": home}, check=True, capture_output=True
    )
    (path,) = out.glob("persona-*.whl")
    with zipfile.ZipFile(path) as file:
        file.extractall(unpacked)
    return unpacked


@pytest.fixture
def run(wheel, luma):
    """A function that runs the wheel's `persona` in a project that is not the repository."""
    root = luma.parent.parent
    (root / "Modelfile.j2").unlink()
    environment = {**os.environ, "PYTHONPATH": str(wheel)}
    del environment["PERSONA_COMMAND"]

    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-c", SCRIPT, *arguments],
            cwd=root,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_every_file_is_in_the_wheel(wheel):
    """Each file of builder/, the template and what `new` copies are inside, and no other is.

    The metadata stands beside them.
    """
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "builder"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    wanted = {name for name in listed if (ROOT / name).exists()}
    packed = {str(path.relative_to(wheel)) for path in wheel.rglob("*") if path.is_file()}
    packed = {name for name in packed if not name.endswith(".pyc") and "dist-info" not in name}

    added = {"builder/Modelfile.j2": ROOT / "Modelfile.j2"}
    for name in examples.NAMES.values():
        read = persona.read(ROOT / "personas" / name)
        for path in (read.folder / "persona.toml", *read.data_files):
            added[f"builder/examples/{name}/{path.name}"] = path
    assert packed == wanted | added.keys()
    for name, path in added.items():
        assert (wheel / name).read_bytes() == path.read_bytes()


def test_an_installed_persona_works_in_any_project(run, luma):
    """`list`, `why` and `build` run without a Modelfile.j2, up to a mistake in the data."""
    listed, why = run("list"), run("why", "luma")

    assert listed.returncode == 0, listed.stderr
    assert listed.stdout.splitlines()[1].split() == ["luma", "never", "built"]
    assert why.returncode == 0, why.stderr
    assert why.stdout.startswith("base      runs: never built\n")
    (luma / "data.jsonl").write_text('{"prompt": "Hi", "completion": "{{ nmae }}"}\n')
    built = run("build", "luma")
    assert built.returncode == 1
    assert "data.jsonl:1: '{{ nmae }}' is not a placeholder" in built.stderr
    assert "Modelfile.j2" not in built.stderr


@pytest.mark.parametrize("kind", examples.NAMES)
def test_an_installed_persona_begins_each_kind(run, luma, kind):
    """`new` finds what it copies inside the wheel."""
    done = run("new", "nova", "--kind", kind)

    assert done.returncode == 0, done.stderr
    assert f"a copy of {examples.NAMES[kind]}" in done.stderr
    assert persona.read(luma.with_name("nova")).manifest.kind == kind


def test_an_installed_persona_names_itself(run):
    """Hints and the usage say `persona`, which is there, and not `just`, which is not."""
    for arguments in (["chat", "luma"], ["build"], ["build", "--help"], ["--help"]):
        done = run(*arguments)
        said = done.stdout + done.stderr

        assert "persona " in said
        assert "just" not in said


def test_a_project_may_have_a_template_of_its_own(run, luma):
    """A Modelfile.j2 beside personas/ is taken before the built-in one."""
    own = luma.parent.parent / "Modelfile.j2"
    shutil.copyfile(ROOT / "Modelfile.j2", own)
    assert run("why", "luma").returncode == 0
    own.write_text("{{ nothing }}")

    done = run("why", "luma")
    assert done.returncode == 1
    assert "error: Modelfile.j2:1: 'nothing' is undefined" in done.stderr
    own.unlink()
    own.symlink_to("gone")
    assert "error: Modelfile.j2: " in run("why", "luma").stderr
