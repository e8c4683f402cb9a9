"""The weights that export needs are fetched by a process beside the training."""

import errno
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
WORKER = """
import json, sys
from builder.bases import ahead
from builder.bases.base import Base
chosen = Base(**json.loads(sys.argv[1]))
started = {ahead.start(chosen), ahead.start(chosen)} - {None}
print([one.pid for one in started], flush=True)
"""
# What a build does: it starts a worker, which ends before the build does.
BUILD = """
import subprocess, sys
subprocess.run([sys.executable, "-c", *sys.argv[1:]])
sys.stdin.read()
"""
WAIT_S = 60.0


def begin(tmp_path, environment, train_source=SIBLING):
    """Start a build whose worker fetches ahead; give it and the processes that fetch."""
    chosen = [REPOSITORY, "hub", COMMIT, train_source, COMMIT, True]
    names = ("source", "kind", "revision", "train_source", "train_revision", "four_bit")
    base = json.dumps(dict(zip(names, chosen, strict=True)))
    build = subprocess.Popen(
        [sys.executable, "-c", BUILD, WORKER, base],
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
    return build, json.loads(build.stdout.readline())


def has_ended(process):
    """Say whether a process, by its number, is gone or waits to be asked how it ended."""
    path = Path(f"/proc/{process}/stat")
    try:
        return path.read_text().rpartition(") ")[2].startswith("Z")
    except FileNotFoundError:
        return True


def wait_until(is_so):
    """Wait until something is so; say whether that came."""
    until_s = time.monotonic() + WAIT_S
    while not is_so():
        if time.monotonic() > until_s:
            return False
        time.sleep(0.02)
    return True


def test_the_weights_come_after_the_worker_has_ended(tmp_path):
    """They are whole in the cache at the base's own revision, fetched once, and nothing is said."""
    with serve(FILES) as hub:
        build, (fetching,) = begin(tmp_path, hub.environment)
        assert wait_until(lambda: has_ended(fetching))
        said, _ = build.communicate(timeout=WAIT_S)
        found = list((tmp_path / "hf").rglob(f"snapshots/{COMMIT}/{SHARD}"))

        assert [path.read_bytes() for path in found] == [FILES[SHARD]]
        assert hub.count("GET", "/large/") == 1
        assert said == ""


def test_a_base_that_is_trained_on_itself_is_fetched_by_training_alone(tmp_path):
    """So is one in a folder, and the embedded one."""
    with serve(FILES) as hub:
        build, fetching = begin(tmp_path, hub.environment, train_source=REPOSITORY)
        build.communicate(timeout=WAIT_S)

        assert (fetching, hub.asked) == ([], [])
    assert ahead.start(Base("folder", "folder", "hash", "folder", "hash", four_bit=True)) is None


def test_a_kernel_that_watches_no_process_fetches_nothing_ahead(monkeypatch):
    """Nothing would end the fetch with the build; training goes on, and export fetches."""

    def refuse(_process):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(os, "pidfd_open", refuse)
    assert ahead.start(Base("a/b", "hub", "1", "a/b-4bit", "2", four_bit=True)) is None


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_fetch_ends_with_the_build(tmp_path, number):
    """However that ends, and though the hub says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        build, (fetching,) = begin(tmp_path, {"HF_ENDPOINT": url, "HF_HUB_OFFLINE": "0"})
        silent.settimeout(WAIT_S)
        asked, _ = silent.accept()
        assert not has_ended(fetching)
        build.send_signal(number)
        build.communicate(timeout=WAIT_S)

        with asked:
            assert wait_until(lambda: has_ended(fetching))
