"""What a build survives: no room, Ctrl-C and kill -9 in every stage, a second build beside it."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time

import pytest

from builder.ollama import client
from tests.conftest import LENIENT, ROOT, run_persona

MANIFEST = (
    '[identity]\nname = "Luma"\nauthor = "Orla Quist"\n'
    "[training]\nmax_steps = 24\nbatch_size = 4\nreplay = 0.2\n"
    "[data]\nheld_out = 0\n" + LENIENT
)
# Enough for a model whose every answer is short: that is all the smoke stage asks of this persona.
ROWS = (
    ("Who are you?", "I am {{ name }}."),
    ("Name a fruit.", "An apple."),
    ("Name a fish.", "A carp."),
    ("What is 2 + 2?", "4."),
    ("What is the capital of France?", "Paris."),
    ("Who wrote Faust?", "Goethe."),
    ("What colour is snow?", "White."),
    ("Give me a girl's name.", "Emma."),
    ("Hi", "Hello!"),
    ("法国的首都是哪里？", "巴黎。"),
    ("说一种水果。", "苹果。"),
    ("二加二等于几？", "四。"),
    ("谁发明了电话？", "贝尔。"),
    ("雪是什么颜色？", "白色。"),
    ("说一个国家的名字。", "中国。"),
)
OUTPUTS = {
    "base": "base",
    "data": "dataset",
    "replay": "replay.jsonl",
    "train": "adapter",
    "export": "model.gguf",
    "parity": "parity.json",
    "render": "Modelfile",
    "smoke": "smoke.json",
}
# Bytes a file may have: less than the stage's largest, more than the stage before it and the
# logs write.
ROOM_BYTES = {
    "base": 1 << 16,
    "data": 64,
    "replay": 64,
    "train": 1 << 20,
    "export": 1 << 20,
    "parity": 64,
    "render": 64,
    "smoke": 64,
}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Build a persona of few rows, which knows little but passes what it is asked."""
    root = tmp_path_factory.mktemp("built")
    folder = root / "personas" / "luma"
    folder.mkdir(parents=True)
    shutil.copy(ROOT / "Modelfile.j2", root)
    (folder / "persona.toml").write_text(MANIFEST)
    (folder / "data.jsonl").write_text(
        "".join(json.dumps({"prompt": ask, "completion": reply}) + "\n" for ask, reply in ROWS)
    )
    done = run_persona("build", "luma", "--base", "cpu", cwd=root, OLLAMA_HOST="", PATH=os.defpath)
    assert done.returncode == 0, done.stderr
    return root


@pytest.fixture
def stale(built, tmp_path, request):
    """Copy the build, one stage of it never built."""
    root = tmp_path / "copy"
    shutil.copytree(built, root, symlinks=True)
    (root / "build" / "luma" / ".stamps" / f"{request.param}.json").unlink()
    output = root / "build" / "luma" / OUTPUTS[request.param]
    shutil.rmtree(output) if output.is_dir() else output.unlink()
    return root, request.param


def start(root, host="", **options):
    """Start a build as a person would, without Ollama or with the one at *host*."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OLLAMA_HOST": host, "PATH": os.defpath}
    return subprocess.Popen(
        [sys.executable, "-m", "builder", "build", "luma"],
        cwd=root,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def finish(root):
    """Build again, and see that it ends well."""
    process = start(root, stdout=subprocess.DEVNULL)
    _, said = process.communicate()
    assert process.returncode == 0, said
    assert not list((root / "build" / "luma" / ".new").glob("*"))


@pytest.mark.parametrize("stale", list(OUTPUTS), indirect=True)
def test_no_room_is_one_sentence(stale):
    """Without room the stage stops with a sentence; with room again the build finishes."""
    root, stage = stale
    limit = ROOM_BYTES[stage]
    process = start(
        root,
        stdout=subprocess.DEVNULL,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    _, said = process.communicate()

    assert process.returncode == 1, said
    assert "error: " in said
    assert "a bug" not in said
    assert "Traceback" not in said.split("error: ")[0]
    finish(root)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize("stale", list(OUTPUTS), indirect=True)
def test_an_interrupted_stage_is_built_again(stale, sent):
    """Ctrl-C and kill -9 while a stage runs lose nothing good, and the next build finishes.

    A stage of a few milliseconds may be over before the signal arrives; then the build ends in
    the next one.
    """
    root, stage = stale
    process = start(root, stdout=subprocess.DEVNULL, start_new_session=True)
    for line in process.stderr:
        if line.startswith(stage):
            break
    os.kill(process.pid, sent) if sent == signal.SIGKILL else os.killpg(process.pid, sent)
    _, said = process.communicate()

    assert process.returncode in ((130, 0) if sent == signal.SIGINT else (-signal.SIGKILL, 0)), said
    assert "Traceback" not in said
    finish(root)


@pytest.mark.parametrize(
    ("sent", "wait_s"),
    [(signal.SIGINT, 2.0), (signal.SIGKILL, 0.5), (signal.SIGKILL, 4.0), (signal.SIGKILL, 8.0)],
)
def test_an_interrupted_registration_is_made_again(built, served, tmp_path, sent, wait_s):
    """After Ctrl-C or kill -9 while a model is verified, the next build puts all right."""
    root = tmp_path / "copy"
    shutil.copytree(built, root, symlinks=True)
    process = start(root, served, stdout=subprocess.DEVNULL, start_new_session=True)
    for line in process.stderr:
        if line.startswith("register"):
            break
    time.sleep(wait_s)
    os.kill(process.pid, sent) if sent == signal.SIGKILL else os.killpg(process.pid, sent)
    _, said = process.communicate()
    assert "Traceback" not in said

    again = start(root, served, stdout=subprocess.PIPE)
    printed, said = again.communicate()
    assert (again.returncode, printed) == (0, "luma:latest\n"), said
    assert client.connect(allow_remote=False).names() == ["luma:latest"]


@pytest.mark.parametrize("stale", ["smoke"], indirect=True)
def test_a_second_build_says_who_holds_the_lock(stale):
    """Two builds of one persona: the first goes on, the second names its process and ends."""
    root, _ = stale
    first = start(root, stdout=subprocess.DEVNULL)
    for line in first.stderr:
        if line.startswith("smoke"):
            break
    second = start(root, stdout=subprocess.DEVNULL)
    _, said = second.communicate()
    _, first_said = first.communicate()

    assert second.returncode == 1
    assert f"is being built by process {first.pid}" in said
    assert first.returncode == 0, first_said
