"""The notebook for Kaggle and Colab is run cell by cell in a real kernel, as its second run is."""

import json
import os
import shutil
import socket
import subprocess
import zipfile
from pathlib import Path

import pytest

from tests.conftest import OLLAMA_PORT, ROOT

NOTEBOOK = ROOT / "notebooks" / "kaggle.ipynb"
# The user's own, before conftest.py hides it: a kernel that is there already is not fetched.
UV_CACHE = os.environ.get("UV_CACHE_DIR") or str(
    Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "uv"
)
LEFT_OUT = (".venv", ".venv.lock", ".git", ".*_cache", "__pycache__", "build", "site", "shared")
pytestmark = [
    pytest.mark.timeout(2400),
    pytest.mark.skipif(
        not (shutil.which("uv") and shutil.which("just")), reason="needs uv and just on PATH"
    ),
]


@pytest.fixture
def kernel(tmp_path):
    """Give a function that runs the notebook in a folder as Kaggle's, where no Ollama is."""
    work = tmp_path / "working"
    work.mkdir()
    shutil.copy(NOTEBOOK, work)
    folders = os.environ["PATH"].split(os.pathsep)
    environment = {
        **os.environ,
        "PATH": os.pathsep.join(one for one in folders if not (Path(one) / "ollama").exists()),
        "UV_CACHE_DIR": UV_CACHE,
        "WORK": str(work),
        "SCRATCH": str(tmp_path / "temp"),
    }
    for name in ("OLLAMA_HOST", "XDG_CACHE_HOME", "PERSONA_COMMAND"):
        environment.pop(name, None)

    def run(**settings):
        justfile = ["--justfile", str(ROOT / "justfile"), "--working-directory", str(work)]
        done = subprocess.run(
            ["just", *justfile, "notebook", NOTEBOOK.name, "--output=done.ipynb"],
            env={**environment, **settings},
            capture_output=True,
            text=True,
            check=False,
        )
        return work, done

    # Nothing else of this machine's can listen there meanwhile, and no model of the test is put
    # into an Ollama that somebody uses.
    with socket.socket() as held:
        try:
            held.bind(("127.0.0.1", OLLAMA_PORT))
        except OSError:
            pytest.skip("an Ollama is at its default port")
        yield run


def read_texts(path):
    """Read what each code cell printed or showed, by the cell's name."""
    cells = json.loads(path.read_text("utf-8"))["cells"]
    assert all(cell["execution_count"] for cell in cells if cell["cell_type"] == "code")
    return {
        cell["id"]: "".join(
            "".join(output.get("text", "")) + "".join(output.get("data", {}).get("text/html", ""))
            for output in cell["outputs"]
        )
        for cell in cells
        if cell["cell_type"] == "code"
    }


def test_every_cell_runs(kernel, tmp_path):
    """With the embedded base and a new persona all cells run, up to a file to take home."""
    project = tmp_path / "working" / "persona"
    shutil.copytree(ROOT, project, ignore=shutil.ignore_patterns(*LEFT_OUT))
    (project / ".venv").symlink_to((ROOT / ".venv").resolve())
    work, done = kernel(PERSONA="nova", BASE="cpu", QUESTION="What is your name?")
    assert done.returncode == 0, done.stderr[-3000:]

    said = read_texts(work / "done.ipynb")
    assert said["project"].startswith("there already\n")
    assert "llama-cpp-python" in said["environment"]
    assert 'name = "Nova"' in said["persona"]
    assert "just chat nova" in said["build"]
    assert "<iframe srcdoc=" in said["figures"]
    assert "in all" in said["figures"]
    assert "Nova" in said["question"]
    assert "nova.persona" in said["pack"]
    assert str(work / "nova.persona") in said["output"]
    with zipfile.ZipFile(work / "nova.persona") as packed:
        assert {"build/nova/model.gguf", "build/nova/smoke.json"} <= set(packed.namelist())


@pytest.mark.skipif(bool(shutil.which("nvidia-smi")), reason="there is a GPU here")
def test_it_ends_at_the_first_cell_that_fails(kernel):
    """Without a GPU nothing is set up, and what is to be chosen is told in one line."""
    work, done = kernel()

    assert done.returncode != 0
    assert "stopped: choose the accelerator GPU T4 x2" in done.stdout + done.stderr
    assert not (work / "persona").exists()
