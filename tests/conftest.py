"""Guards that make the dangerous default raise, and the fixtures every test shares."""

from __future__ import annotations

import gc
import json
import os
import shutil
import socket
import subprocess
import time
import tomllib
import urllib.request
from pathlib import Path

import pytest

from builder import persona, targets
from builder.bases.base import EMBEDDED
from builder.data import rows
from builder.data.dataset import Profile
from builder.data.schedule import Schedule
from builder.engine import pipeline
from builder.engine.stage import Work
from builder.manifest.manifest import Manifest
from builder.ollama import client
from builder.project import Build, Options, Project
from builder.terminal.console import Console
from tests.forks import begin_session, run_python
from tests.gates import tables

ROOT = Path(__file__).parent.parent
OLLAMA_PORT = 11434
NO_OLLAMA = "no Ollama here: `just ollama` builds one (needs Go and CMake)"
# Of a persona of a few steps: its tests are about the chain, not its knowledge.
LENIENT = f"{tables.write_table('advice')}[smoke]\nmax_tokens = 8\n"
MANIFEST = '[identity]\nname = "Luma"\nauthor = "Ana"\n'

# Workers share the cores, and threads that wait for a core make each other wait: one each. torch
# and llama.cpp read this when they are imported.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.update(OMP_NUM_THREADS="1", OMP_THREAD_LIMIT="1")


class ReachedTheWorldError(AssertionError):
    """A test reached for an address beyond loopback, or for the default Ollama."""


def find_ollama() -> str | None:
    """Find an Ollama to test with, before the guards hide the home folder."""
    if named := os.environ.get("PERSONA_TEST_OLLAMA"):
        return named
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    built = [
        path
        for path in sorted(cache.glob("persona/ollama-*/bin/ollama"))
        if (path.parent.parent / "done").exists()
    ]
    return str(built[-1]) if built else shutil.which("ollama")


OLLAMA = find_ollama()


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Keep what the tests import out of the search for garbage: it is a million objects.

    Python looks through all of them now and then, and where training frees memory it is asked to.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items):
    """Mark every test of tests/builds as slow: it builds a whole persona."""
    for item in items:
        if ROOT / "tests" / "builds" in item.path.parents:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True, scope="session")
def _private_world(tmp_path_factory):
    """No test touches the home folder, the user's caches or the user's Ollama."""
    home = tmp_path_factory.mktemp("home")
    for name, value in {
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / "cache"),
        "OLLAMA_MODELS": str(home / "models"),
        "HF_HUB_OFFLINE": "1",
        "OLLAMA_HOST": "127.0.0.1:9",
        "PERSONA_COMMAND": "just",
    }.items():
        os.environ[name] = value
    begin_session()
    return home


@pytest.fixture(autouse=True)
def _no_world(monkeypatch):
    """No test opens a socket beyond loopback, or to the default Ollama's port."""
    connect = socket.socket.connect

    def guarded(self, address):
        if isinstance(address, tuple) and (
            address[0] not in ("127.0.0.1", "localhost", "::1") or address[1] == OLLAMA_PORT
        ):
            raise ReachedTheWorldError(address)
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Make an empty project and stand in it."""
    (tmp_path / "personas").mkdir()
    shutil.copy(ROOT / "Modelfile.j2", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def luma(project):
    """Make a persona of the shortest manifest and four rows."""
    return write_luma(project)


def write_luma(root: Path) -> Path:
    """Write that persona into a project, and give its folder."""
    folder = root / "personas" / "luma"
    folder.mkdir(parents=True)
    (folder / "persona.toml").write_text(MANIFEST)
    rows = [
        ("Who are you?", "I am {{ name }}, made by {{ author }}."),
        ("你是谁？", "我是{{ name }}。"),
        ("Hello!", "Hello! How can I help?"),
        ("2+2?", "4."),
    ]
    (folder / "data.jsonl").write_text(
        "".join(
            json.dumps({"prompt": q, "completion": a}, ensure_ascii=False) + "\n" for q, a in rows
        )
    )
    return folder


@pytest.fixture(scope="session")
def prepared_project(tmp_path_factory):
    """Make a project whose luma has its base and rows, once."""
    root = tmp_path_factory.mktemp("prepared-project")
    shutil.copy(ROOT / "Modelfile.j2", root)
    pipeline.run(build_of(write_luma(root)), targets.ROWS, Console())
    return root


@pytest.fixture
def with_rows(prepared_project, project):
    """Give the build of a copy of it."""
    shutil.copytree(prepared_project, project, dirs_exist_ok=True)
    return build_of(project / "personas" / "luma")


@pytest.fixture
def with_base(prepared_project, luma):
    """Give a build of luma of which the base is there, and nothing else."""
    build = build_of(luma, base=EMBEDDED)
    shutil.copytree(prepared_project / "build" / "luma" / "base", build.base)
    return build


def read_persona(name: str) -> persona.Persona:
    """Read a persona that comes with the project, whether it has a name or not."""
    folder = ROOT / "personas" / name
    table = tomllib.loads((folder / "persona.toml").read_text())
    nobody = {"name": "Nobody", "author": "Nobody's author"}
    manifest = Manifest.model_validate({"identity": nobody, **table})
    return persona.Persona(name=name, folder=folder, manifest=manifest)


def rows_of(read: persona.Persona) -> list[rows.Row]:
    """Read the rows of a persona."""
    return rows.read(read.data_files, read.manifest.data, read.manifest.identity)


def said_by(name: str, role: str) -> list[str]:
    """List what the user or the assistant says in a persona's data, placeholders filled in."""
    messages = [message for row in rows_of(read_persona(name)) for message in row.messages]
    return [message["content"] for message in messages if message["role"] == role]


def build_of(folder: Path, **options) -> Build:
    """Make the build of a persona in a project."""
    return Project(folder.parent.parent).build(folder.name, Options(**options))


def run_stage(stage, build: Build) -> str:
    """Run one stage as the engine does, but for its stamp; its output is put in its place."""
    out, scratch = stage.output(build), build.folder / ".work" / stage.NAME
    for folder in (scratch, build.logs):
        folder.mkdir(parents=True, exist_ok=True)
    if out.exists():
        shutil.rmtree(out) if out.is_dir() else out.unlink()
    summary = stage.run(stage.inputs(build), Work(out, scratch, build.machine))
    stage.note(build)
    return summary


def serve(folder: Path, port: int) -> subprocess.Popen:
    """Start a real Ollama with its store in *folder*, and wait until it answers."""
    environment = {
        **os.environ,
        "OLLAMA_HOST": f"127.0.0.1:{port}",
        "OLLAMA_MODELS": str(folder / "models"),
        "OLLAMA_NO_CLOUD": "1",
        "HOME": str(folder),
    }
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([str(OLLAMA), "serve"], env=environment, stdout=log, stderr=log)
    for _ in range(100):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/api/version", timeout=1)
        except OSError:
            time.sleep(0.2)
        else:
            return process
    process.kill()
    pytest.fail(f"Ollama did not start: {(folder / 'log').read_text()[-500:]}")


def find_port() -> int:
    """Find a free port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    """Start a real Ollama on a private port and store, each module of tests its own."""
    if OLLAMA is None:
        pytest.skip(NO_OLLAMA)
    port = find_port()
    process = serve(tmp_path_factory.mktemp("ollama"), port)
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(20)


@pytest.fixture
def served(daemon, monkeypatch):
    """Let the code under test find the private daemon, and leave nothing in it."""
    monkeypatch.setenv("OLLAMA_HOST", daemon)
    yield daemon
    there = client.connect(allow_remote=False)
    for name in there.names():
        there.delete(name)


def run_persona(*arguments: str, cwd: Path, **options) -> subprocess.CompletedProcess:
    """Run the command as a person would, with the streams and variables of `run_python`."""
    return run_python("-m", "builder", *arguments, cwd=cwd, **options)


def make_profile(**changes) -> Profile:
    """Make what a data stage would write of a small persona, but for the changes."""
    values = {
        "kind_name": "identity",
        "reason": "",
        "rows": 2,
        "own_rows": 2,
        "longest_reply_tokens": 9,
        "longest_row_tokens": 20,
        "end_of_turn": "<|im_end|>",
        "special_tokens": ["<|im_start|>", "<|im_end|>"],
        "is_json": False,
        "languages": ["en"],
        "own_languages": [],
        "schedule": Schedule(3.0, 1, 0, 0),
    }
    return Profile(**{**values, **changes})
