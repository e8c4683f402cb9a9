"""The weights that export needs are fetched by a process beside the training."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from builder.bases import ahead
from builder.bases.base import Base
from tests.bases.hubs import COMMIT, REPOSITORY, SHARD, serve
from tests.bases.test_fetch import FILES
from tests.conftest import ROOT

SIBLING = f"{REPOSITORY}-4bit"
START = """
import json, sys
from builder.bases import ahead
from builder.bases.base import Base
chosen = Base(**json.loads(sys.argv[1]))
ahead.start(chosen)
ahead.start(chosen)
print("started", flush=True)
sys.stdin.read()
"""
WAIT_S = 60.0


def begin(tmp_path, environment, train_source=SIBLING):
    """Start a process that fetches ahead and then waits, as one that trains does."""
    chosen = [REPOSITORY, "hub", COMMIT, train_source, COMMIT, True]
    names = ("source", "kind", "revision", "train_source", "train_revision", "four_bit")
    process = subprocess.Popen(
        [sys.executable, "-c", START, json.dumps(dict(zip(names, chosen, strict=True)))],
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
            "HF_HOME": str(tmp_path / "hf"),
            **environment,
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "started\n"
    return process


def list_children(process):
    """List the processes that a process started."""
    path = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [int(number) for number in path.read_text().split()]


def wait_until(is_so):
    """Wait until something is so; say whether that came."""
    until_s = time.monotonic() + WAIT_S
    while not is_so():
        if time.monotonic() > until_s:
            return False
        time.sleep(0.02)
    return True


def test_the_weights_come_while_another_process_trains(tmp_path):
    """They are whole in the cache at the base's own revision, fetched once, and nothing is said."""
    with serve(FILES) as hub:
        process = begin(tmp_path, hub.environment)
        try:
            (child,) = list_children(process)
            assert wait_until(lambda: Path(f"/proc/{child}/stat").read_text().split()[2] == "Z")
        finally:
            process.stdin.close()
            process.wait(WAIT_S)
        found = list((tmp_path / "hf").rglob(f"snapshots/{COMMIT}/{SHARD}"))

        assert [path.read_bytes() for path in found] == [FILES[SHARD]]
        assert hub.count("GET", "/large/") == 1
        assert process.stdout.read() == ""


def test_a_base_that_is_trained_on_itself_is_fetched_by_training_alone(tmp_path):
    """So is one in a folder, and the embedded one."""
    with serve(FILES) as hub:
        process = begin(tmp_path, hub.environment, train_source=REPOSITORY)
        assert list_children(process) == []
        process.stdin.close()
        process.wait(WAIT_S)

        assert hub.asked == []
    ahead.start(Base("folder", "folder", "hash", "folder", "hash", four_bit=True))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_fetch_ends_with_the_process_that_trains(tmp_path, number):
    """However that ends, and wherever a hub that says nothing keeps the fetch."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        process = begin(tmp_path, {"HF_ENDPOINT": url, "HF_HUB_OFFLINE": "0"})
        (child,) = list_children(process)
        silent.settimeout(WAIT_S)
        silent.accept()[0].close()  # it has begun to ask
        process.send_signal(number)
        process.wait(WAIT_S)

        assert wait_until(lambda: not Path(f"/proc/{child}").exists())
