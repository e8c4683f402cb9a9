"""Fetching a base by the real huggingface_hub from a hub on loopback, which fails in every way."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from builder.bases import hub_errors, integrity, wholeness
from builder.errors import ToolError
from tests.bases.hubs import COMMIT, REPOSITORY, SHARD, serve
from tests.conftest import ROOT, find_port

FILES = {
    "config.json": b'{"model_type": "llama"}',
    "tokenizer.json": b"{}",
    SHARD: hashlib.shake_128(b"small").digest(200_000),
}
# The client writes 10 MB at once, and goes on from what it wrote.
LONG = hashlib.shake_128(b"long").digest(24_000_000)
FETCH = """
import json, logging, sys
from builder.bases import fetch
from builder.bases.base import Base
from builder.errors import ToolError
said = []
class Keep(logging.Handler):
    def emit(self, record):
        progress = getattr(record, "progress", None)
        said.append([progress.what, progress.done, progress.total] if progress
                    else record.getMessage())
log = logging.getLogger("builder")
log.addHandler(Keep())
log.setLevel(logging.INFO)
source, revision = sys.argv[1:3]
base = Base(source, "hub", revision, source, revision, False)
try:
    if "licences" in sys.argv:
        told = {"names": [path.name for path in fetch.find_licences(base)]}
    else:
        told = {"folder": str(fetch.find_weights(base))}
except ToolError as error:
    told = {"problems": error.problems, "hint": error.hint}
print(json.dumps({**told, "said": said}))
"""


@pytest.fixture
def hub():
    """Serve a tiny repository."""
    with serve(FILES) as served:
        yield served


@pytest.fixture
def fetch(hub, tmp_path):
    """Fetch the weights in a process of its own, as a build does; the cache stays between calls."""

    def run(*arguments, source=REPOSITORY, revision=COMMIT, **environment):
        done = subprocess.run(
            [sys.executable, "-c", FETCH, source, revision, *arguments],
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "XDG_CACHE_HOME": str(tmp_path / "cache"),
                "HF_HOME": str(tmp_path / "hf"),
                **hub.environment,
                **environment,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return run


def count_large(hub):
    """Count the downloads of large files."""
    return hub.count("GET", "/large/")


def test_a_pinned_revision_is_fetched_once_and_then_needs_no_hub(hub, fetch):
    """Its files are the hub's; from then on nothing is asked, offline or not."""
    folder = Path(fetch()["folder"])
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == FILES
    assert folder.name == COMMIT
    assert not any("/main" in asked[1] for asked in hub.asked)

    hub.asked.clear()
    hub.status = 500
    assert fetch()["folder"] == str(folder)
    assert fetch(HF_HUB_OFFLINE="1")["folder"] == str(folder)
    assert [asked for asked in hub.asked if REPOSITORY in asked[1]] == []


def test_a_fetch_shows_how_far_it_is(hub, fetch):
    """The bar counts megabytes up to the size of the files."""
    hub.files[SHARD] = LONG
    shown = [line for line in fetch()["said"] if line[0] == "fetches the base"]

    assert shown[-1] == ["fetches the base", 24, 24]


@pytest.mark.parametrize("fault", ["cuts", "silences"])
def test_a_connection_that_breaks_off_is_taken_up_where_it_broke(hub, fetch, fault):
    """A cable that is pulled and put back: the rest is asked for, and the file is whole."""
    hub.files[SHARD] = LONG
    setattr(hub, fault, 1)
    folder = fetch(HF_HUB_DOWNLOAD_TIMEOUT="1")["folder"]

    assert (Path(folder) / SHARD).read_bytes() == LONG
    ranges = [asked[2] for asked in hub.asked if "/large/" in asked[1]]
    assert ranges == [None, "bytes=10485760-"]


def test_a_connection_that_stays_away_is_one_sentence(hub, fetch):
    """Files that arrived whole are kept for the next build, which fetches the rest alone."""
    hub.cuts = 99
    told = fetch()
    assert told["problems"][0].startswith(f"{REPOSITORY}: {hub.url} cannot be reached (peer closed")
    assert "build again" in told["hint"]

    hub.cuts = 0
    hub.asked.clear()
    assert (Path(fetch()["folder"]) / SHARD).read_bytes() == FILES[SHARD]
    assert count_large(hub) == 1
    assert hub.count("GET", "config.json") == 0


def test_a_file_with_other_content_is_not_taken(hub, fetch):
    """One of the right size and another hash is fetched once more, then refused, and not kept."""
    hub.sent = bytes(len(FILES[SHARD]))
    told = fetch()
    other_hash = f"{SHARD} was downloaded with another hash, expected the one that the hub lists"
    assert told["problems"] == [f"{REPOSITORY}: {other_hash}"]
    assert count_large(hub) == 2

    hub.sent = None
    assert (Path(fetch()["folder"]) / SHARD).read_bytes() == FILES[SHARD]


def test_a_file_that_broke_in_the_cache_is_fetched_again(hub, fetch):
    """A changed shard is found, said and mended; one that was checked is not read again."""
    folder = Path(fetch()["folder"])
    assert not any(line[0] == "check" for line in fetch()["said"])
    (folder / SHARD).resolve().write_bytes(bytes(len(FILES[SHARD])))
    mended = fetch()

    assert f"{REPOSITORY}: {SHARD} is broken in the cache; it is fetched again" in mended["said"]
    assert (folder / SHARD).read_bytes() == FILES[SHARD]
    assert count_large(hub) == 2


def test_a_file_that_is_too_short_is_one_sentence(hub, fetch):
    """What huggingface_hub says of its size is no matter of the disk."""
    hub.sent = FILES[SHARD][:1000]
    told = fetch()

    assert told["problems"][0].startswith(
        f"{REPOSITORY}: the download from {hub.url} was cut short"
    )
    assert "build again" in told["hint"]


def test_a_disk_without_room_is_told_before_anything_is_fetched(hub, fetch, tmp_path):
    """The files' sizes are compared with what is free where the cache lies."""
    hub.claims = 10**16
    told = fetch()

    problem = told["problems"][0]
    assert problem.startswith(f"{tmp_path / 'hf' / 'hub'}: ")
    assert problem.endswith(f" GB free, expected 10000000.0 GB for {REPOSITORY}")
    assert "HF_HOME" in told["hint"]
    assert count_large(hub) == 0


@pytest.mark.parametrize(
    ("changes", "problem", "way"),
    [
        ({"loops": True}, "redirects in a circle", "HF_ENDPOINT"),
        ({"is_signed": False}, "answers as no hub does (Response from", "HF_ENDPOINT"),
        ({"status": 403, "code": "GatedRepo"}, "is gated", "HF_TOKEN"),
        ({"status": 401}, "answers 401", "HF_TOKEN"),
        ({"status": 404, "code": "RepoNotFound"}, "is not on http://127.0.0.1:", "check the name"),
        ({"status": 429}, "answers 429", "build later"),
        ({"status": 503}, "answers 503", "build later"),
    ],
)
def test_what_a_hub_refuses_is_one_sentence(hub, fetch, changes, problem, way):
    """Each with its own way out, whatever was asked of the hub when it refused."""
    for name, value in changes.items():
        setattr(hub, name, value)
    told = fetch()

    assert len(told["problems"]) == 1
    assert told["problems"][0].startswith(f"{REPOSITORY}: ")
    assert problem in told["problems"][0]
    assert way in told["hint"]


def test_a_revision_that_is_gone_is_one_sentence(fetch):
    """A pin that the repository no longer has says where it is pinned."""
    told = fetch(revision="a" * 40)

    assert "without the revision that base.lock names" in told["problems"][0]
    assert "base.lock" in told["hint"]


def test_a_mirror_that_is_away_is_named(fetch):
    """HF_ENDPOINT decides whom to ask, and its name is in the sentence."""
    mirror = f"http://127.0.0.1:{find_port()}"
    told = fetch(HF_ENDPOINT=mirror)

    assert told["problems"][0].startswith(f"{REPOSITORY}: {mirror} cannot be reached (")


def test_a_shard_that_the_repository_lacks_is_named(hub, fetch, tmp_path):
    """The index names two, and one is there: nothing is fetched of half a model."""
    hub.files[wholeness.INDEX] = json.dumps(
        {"weight_map": {"a": SHARD, "b": "model-2.safetensors"}}
    ).encode()
    told = fetch()

    assert told["problems"] == [
        f"{REPOSITORY}: lacks model-2.safetensors, expected all 2 shards of {wholeness.INDEX}"
    ]
    hub.files[wholeness.INDEX] = b"[]"
    assert "not of the form" in fetch(HF_HOME=str(tmp_path / "other"))["problems"][0]
    assert count_large(hub) == 0


def test_what_a_killed_download_left_is_removed(fetch, tmp_path):
    """A part that nobody has written to for hours; one of a download under way stays."""
    blobs = Path(fetch()["folder"]).parent.parent / "blobs"
    old, new = blobs / "a.01234567.incomplete", blobs / "b.01234567.incomplete"
    for part in (old, new):
        part.write_bytes(b"x")
    long_ago = time.time() - 2 * integrity.ABANDONED_AFTER_S
    os.utime(old, (long_ago, long_ago))
    integrity.remove_abandoned(tmp_path / "hf" / "hub", REPOSITORY)

    assert (old.exists(), new.exists()) == (False, True)


def test_what_is_no_large_file_of_the_hub_is_not_read(tmp_path, monkeypatch):
    """A cache without links, and a small file by git's hash, have nothing to be compared with."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    snapshot = tmp_path / "snapshot"
    snapshot.mkdir()
    (snapshot / SHARD).write_bytes(b"x")
    (tmp_path / ("0" * 40)).write_bytes(b"{}")
    (snapshot / "config.json").symlink_to(tmp_path / ("0" * 40))
    shutil.copy(snapshot / SHARD, tmp_path / ("0" * 64))
    (snapshot / "other.safetensors").symlink_to(tmp_path / ("0" * 64))

    assert integrity.find_broken(snapshot) == [snapshot / "other.safetensors"]


def test_the_files_of_a_licence_are_found(fetch, hub):
    """What a licence asks to be passed on is fetched alone, at the revision of the build."""
    hub.files |= {"LICENSE.txt": b"text", "USE_POLICY.md": b"policy", "README.md": b"card"}

    assert fetch("licences")["names"] == ["LICENSE.txt", "USE_POLICY.md"]
    assert hub.count("GET", SHARD) == 0
    assert hub.count("GET", "README.md") == 0


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("Task error: File reconstruction error: CAS Client Error: timed out", "cannot be reached"),
        ("anything else", "answers as no hub does"),
    ],
)
def test_a_network_that_xet_misses_is_told_as_such(monkeypatch, said, told):
    """The client of large files raises one kind of error for all that goes wrong."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    with (
        pytest.raises(ToolError, match=rf"^acme/tiny: \S+ {told} \(") as caught,
        hub_errors.explaining("acme/tiny"),
    ):
        raise RuntimeError(said)

    assert ("build again: the files that arrived whole are kept" in caught.value.hint) is (
        told == "cannot be reached"
    )
