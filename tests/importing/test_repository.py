"""`persona new --from hf:OWNER/NAME`: a data set by the real client, from a hub on loopback."""

import json
from pathlib import Path

import pytest

from tests.bases.hubs import serve
from tests.conftest import run_persona

NAME = "acme/rows"
ROW = {"prompt": "Who pays?", "completion": "The customer pays.", "source": "x"}
FILES = {
    "README.md": b"Q: none\nA: none",
    "rows.py": b"raise SystemExit(5)",
    "data/train-00000-of-00001.jsonl": json.dumps(ROW).encode(),
    "data/test-00000-of-00001.jsonl": b"not read",
    "dataset_infos.json": b"{}",
}


@pytest.fixture
def hub():
    """Serve a data set beside a model."""
    with serve({}) as served:
        served.others[f"datasets/{NAME}"] = dict(FILES)
        yield served


@pytest.fixture
def new(project, tmp_path, hub):
    """Begin a persona in a process of its own, with a cache of its own."""

    def run(source):
        environment = {"HF_HOME": str(tmp_path / "hf"), **hub.environment}
        return run_persona("new", "nova", "--from", source, cwd=project, **environment)

    return run


def test_a_data_set_of_the_hub_becomes_rows(project, hub, new):
    """Its training split alone is fetched, no code of it is, and what was left out is told."""
    done = new(f"hf:{NAME}")

    assert (done.returncode, done.stdout) == (0, "personas/nova\n"), done.stderr
    (row,) = (project / "personas" / "nova" / "data.jsonl").read_text("utf-8").splitlines()
    assert [turn["content"] for turn in json.loads(row)["messages"]] == [
        ROW["prompt"],
        ROW["completion"],
    ]
    assert f"hf:{NAME}: 1 of questions and answers" in done.stderr
    assert "1 file of other splits than train" in done.stderr
    fetched = {path for _, path, _ in hub.asked if "/resolve/" in path}
    assert {path.rpartition("/")[2] for path in fetched} == {"train-00000-of-00001.jsonl"}


@pytest.mark.parametrize(
    ("source", "files", "told"),
    [
        ("hf:acme/none", FILES, ("acme/none: is not on http", "a private one needs your HF_TOKEN")),
        ("hf:a/b/c", FILES, ("a/b/c: is not a data set, expected hf:OWNER/NAME",)),
        (f"hf:{NAME}", {"rows.py": b"x"}, (f"hf:{NAME}: contains no table of rows, expected one",)),
        (NAME, FILES, (f"{NAME}: no such file or folder", f"hf:{NAME} is the data set")),
    ],
)
def test_what_is_no_data_set_is_one_sentence(hub, new, source, files, told):
    """Nothing is written, and the hub is asked only where `hf:` says so."""
    hub.others[f"datasets/{NAME}"] = files
    done = new(source)

    assert done.returncode == 1
    assert all(text in done.stderr for text in told), done.stderr
    assert "base" not in done.stderr
    assert not Path("personas", "nova").exists()
    assert bool(hub.asked) is (source in (f"hf:{NAME}", "hf:acme/none"))


def test_a_data_set_that_is_too_large_is_not_fetched(hub, new):
    """A gigabyte of rows is no persona's; the sizes that the hub lists decide."""

    class Large(bytes):
        def __len__(self):
            return 5_000_000_000

    hub.others[f"datasets/{NAME}"] = {"train.jsonl": Large(b"{}")}
    done = new(f"hf:{NAME}")

    assert done.returncode == 1
    assert "contains 5.0 GB of rows, expected at most 1.1" in done.stderr
    assert hub.count("GET", "/resolve/") == 0


def test_a_hub_that_is_not_asked_is_told(hub, new, monkeypatch):
    """Offline nothing is asked; the sentence names the setting."""
    monkeypatch.setattr(type(hub), "environment", {**hub.environment, "HF_HUB_OFFLINE": "1"})
    done = new(f"hf:{NAME}")

    assert done.returncode == 1
    assert "unset HF_HUB_OFFLINE" in done.stderr
    assert not hub.asked
