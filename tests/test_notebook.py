"""The notebook for Kaggle and Colab: its form, its cells before the build, and its set-up."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile

import pytest

from builder import machine
from builder.bases import families
from builder.manifest import manifest
from builder.targets import MODEL
from tests.conftest import ROOT
from tests.test_docs import RECIPES
from tools import notebook as setting_up

NOTEBOOK = ROOT / "notebooks" / "kaggle.ipynb"
PAGE = ROOT / "docs" / "kaggle.md"
BOOK = json.loads(NOTEBOOK.read_text("utf-8"))
CELLS = {cell["id"]: "".join(cell["source"]) for cell in BOOK["cells"]}
CODES = [cell["id"] for cell in BOOK["cells"] if cell["cell_type"] == "code"]
T4, P100 = "Tesla T4, 7.5\n", "Tesla P100-PCIE-16GB, 6.0\n"
WHEEL = "nova_wheel-1.0-py3-none-any.whl"


def test_it_is_a_notebook_without_outputs():
    """It is of nbformat 4.5 with a name for each cell, and holds nothing that a run left."""
    assert (BOOK["nbformat"], BOOK["nbformat_minor"]) == (4, 5)
    assert set(BOOK["metadata"]) == {"kernelspec", "language_info"}
    assert len(CELLS) == len(BOOK["cells"])
    for cell in BOOK["cells"]:
        assert re.fullmatch(r"[a-z-]{1,64}", cell["id"])
        assert cell["metadata"] == {}
        if cell["cell_type"] == "code":
            assert (cell["outputs"], cell["execution_count"]) == ([], None)


def test_what_it_runs_is_there():
    """Each `just X` of a cell is a recipe, and each tool a file."""
    text = "\n".join(CELLS.values())
    used = re.findall(r'run\("just", "([a-z-]+)"', text) + re.findall(r"\bjust ([a-z]+)\b", text)

    assert {"doctor", "new", "why", "build", "list", "chat", "pack", "unpack"} <= set(used)
    assert set(used) <= RECIPES
    for tool in re.findall(r"tools/\w+\.py", text):
        assert (ROOT / tool).is_file()


def test_it_names_no_machine_but_those_it_is_for():
    """Each absolute path of a cell is Kaggle's or Colab's, and no address stands in it."""
    text = "\n".join(CELLS.values())

    paths = set(re.findall(r"(?<![\w./~<])/[a-z][\w/]*", text))
    assert {path.split("/")[1] for path in paths} == {"kaggle", "content"}
    assert "://" not in text


def test_it_knows_what_the_project_knows():
    """The least capability of a GPU, and the base that is fetched early, are the project's own."""
    source = re.search(r'base = "(.+)"', CELLS["environment"])[1]
    repositories = [one for family in families.FAMILIES for one in family.repositories]
    name = source.rpartition("/")[2]
    four_bit = next(one.four_bit for one in repositories if one.name.endswith(f"/{name}"))
    least = float(re.search(r"LEAST_CAPABILITY = ([\d.]+)", CELLS["accelerator"])[1])

    assert source == manifest.Base().gpu
    assert four_bit == f"{source}-unsloth-bnb-4bit"
    assert least == float("{}.{}".format(*machine.LOWEST_CAPABILITY))


def test_every_cell_has_its_seconds():
    """docs/kaggle.md lists each code cell, whose seconds add up; its build is under 15 minutes."""
    text = PAGE.read_text("utf-8")
    seconds = r"\| (\d+) \| (\d+) \|"
    cells = re.findall(rf"^\| `([a-z]+)` \| .*? {seconds} \w.*\|$", text, re.MULTILINE)
    stages = re.findall(rf"^\| ([a-z, ]+) {seconds} extrapolated.*\|$", text, re.MULTILINE)
    told = re.search(rf"^\| in all \| {seconds} \|$", text, re.MULTILINE).groups()

    assert [name for name, *_ in cells] == CODES
    named = {stage for name, *_ in stages for stage in name.split(", ")}
    assert named - {"report"} == {stage.NAME for stage in MODEL} - {"register"}
    build = next(row for row in cells if row[0] == "build")
    for column in (1, 2):
        assert sum(int(row[column]) for row in cells) == int(told[column - 1])
        assert sum(int(row[column]) for row in stages) == int(build[column]) < 15 * 60
    minutes = re.search(r"That is (\d+) minutes the first time and (\d+) later", text).groups()
    assert [round(int(one) / 60) for one in told] == [int(one) for one in minutes]


@pytest.fixture
def cells(tmp_path, monkeypatch):
    """Give a function that runs cells in a folder that is no checkout, with settings set."""
    monkeypatch.chdir(tmp_path)

    def run_cells(*names, **settings):
        for name in ("BASE", "FOLDER", "PERSONA", "REPOSITORY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
        for name, value in {"WORK": tmp_path, "SCRATCH": tmp_path / "scratch", **settings}.items():
            monkeypatch.setenv(name, str(value))
        space = {}
        for name in ("settings", *names):
            exec(CELLS[name], space)  # noqa: S102 — they are the project's own
        return space

    return run_cells


@pytest.fixture
def driver(tmp_path, monkeypatch):
    """Give a function that puts an nvidia-smi on PATH, which prints a text."""

    def install(printed):
        folder = tmp_path / "bin"
        folder.mkdir()
        script = folder / "nvidia-smi"
        script.write_text(f"#!{sys.executable}\nprint({printed!r}, end='')\n")
        script.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    return install


def test_of_two_gpus_the_first_is_used(cells, driver):
    """Kaggle's two T4s are taken, and one of them is shown to what runs."""
    driver(T4 * 2)
    cells("accelerator")

    assert os.environ["CUDA_VISIBLE_DEVICES"] == "0"


@pytest.mark.parametrize("printed", [P100, ""])
def test_a_gpu_that_cannot_train_is_told_at_once(cells, driver, printed):
    """With a P100, or without a GPU, the second cell says what to choose."""
    driver(printed)
    with pytest.raises(Exception, match="choose the accelerator GPU T4 x2") as caught:
        cells("accelerator")

    assert type(caught.value).__name__ == "StoppedError"
    assert len(caught.value._render_traceback_()) == 1
    cells("accelerator", BASE="cpu")


def test_a_command_that_fails_stops_its_cell(cells, capsys):
    """What the command said is shown, and the cell ends with its code."""
    run = cells("accelerator", BASE="cpu")["run"]
    run(sys.executable, "-c", "print('first')")
    with pytest.raises(Exception, match="ended with 3"):
        run(sys.executable, "-c", "import sys; print('last', file=sys.stderr); sys.exit(3)")

    assert capsys.readouterr().out.endswith("first\nlast\n")


@pytest.fixture
def upload(tmp_path):
    """Make what a Kaggle input may hold: a project, and wheels of an earlier run beside it."""
    folder = tmp_path / "input" / "persona"
    (folder / "builder").mkdir(parents=True)
    (folder / "justfile").touch()
    (folder / ".venv").symlink_to(tmp_path / "gone")
    (folder.parent / "kept" / "wheels").mkdir(parents=True)
    return folder


def test_an_earlier_output_is_gone_on_with(cells, upload, tmp_path):
    """A project in a folder is copied with the wheels beside it; the next time it is there."""
    cells("accelerator", "project", BASE="cpu", FOLDER=upload)
    assert (tmp_path / "persona" / "builder").is_dir()
    assert (tmp_path / "kept" / "wheels").is_dir()

    (tmp_path / "persona" / "mine").touch()
    assert cells("accelerator", "project", BASE="cpu", FOLDER=upload)["PROJECT"].is_dir()
    assert (tmp_path / "persona" / "mine").exists()


def test_a_repository_is_cloned(cells, upload, tmp_path):
    """A project is cloned from REPOSITORY; without one and without a folder the cell says so."""
    with pytest.raises(Exception, match="set REPOSITORY"):
        cells("accelerator", "project", BASE="cpu")
    git = ["git", "-c", "user.name=Ana", "-c", "user.email=ana@example.com"]
    (upload / "builder" / "machine.py").touch()
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "Begin"]):
        subprocess.run([*git, *words], cwd=upload, check=True)
    cells("accelerator", "project", BASE="cpu", REPOSITORY=upload.as_uri())

    assert (tmp_path / "persona" / "builder" / "machine.py").exists()


def make_wheel(folder):
    """Write the smallest wheel."""
    folder.mkdir()
    about = "nova_wheel-1.0.dist-info"
    with zipfile.ZipFile(folder / WHEEL, "w") as wheel:
        wheel.writestr("nova_wheel.py", "")
        wheel.writestr(
            f"{about}/METADATA", "Metadata-Version: 2.1\nName: nova-wheel\nVersion: 1.0\n"
        )
        wheel.writestr(
            f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{about}/RECORD", "")


@pytest.mark.skipif(not shutil.which("uv"), reason="needs uv on PATH")
def test_a_kept_wheel_is_installed_and_not_made_again(tmp_path, monkeypatch):
    """In the next session `.venv` is a link to a folder that is gone; the wheel is used there."""
    make_wheel(tmp_path / "kept")
    unlike = hashlib.sha256(b"its source distribution").hexdigest()
    (tmp_path / "requirements.lock").write_text(f"nova-wheel==1.0 --hash=sha256:{unlike}\n")
    (tmp_path / ".venv").symlink_to(tmp_path / "gone")
    monkeypatch.chdir(tmp_path)
    environment = {**os.environ, "UV_OFFLINE": "1", "UV_SYSTEM_PYTHON": "1"}
    environment.pop("UV_CACHE_DIR", None)
    script = [sys.executable, str(ROOT / "tools" / "notebook.py"), "kept", "scratch"]
    for said in ("from the last run: nova_wheel==1.0", ""):
        done = subprocess.run(script, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stderr.partition("\n")[0] == said

    assert (tmp_path / ".venv").resolve() == tmp_path / "scratch" / "venv"
    assert list((tmp_path / ".venv").glob("lib/*/site-packages/nova_wheel.py"))


@pytest.mark.parametrize(
    ("lock", "is_used"),
    [("nova-wheel==1.0 \\\n", True), ("nova-wheel==1.1 \\\n", False), ("other==1.0\n", False)],
)
def test_a_wheel_of_another_version_is_left(tmp_path, lock, is_used):
    """Only what requirements.lock says is installed from what was kept."""
    wheel = tmp_path / WHEEL

    assert list(setting_up.list_locked(iter([wheel]), lock)) == [wheel] * is_used
