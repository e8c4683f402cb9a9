"""What is known of a model's name before and after a build, without a model."""

import json

import pytest

from builder.errors import ToolError
from builder.ollama import claims, registration
from builder.ollama.client import Listed
from tests.conftest import find_port
from tests.ollama.tiny import put, write_tiny

URL = "http://127.0.0.1:7"
MODEL = Listed("luma:latest", "d" * 64)
RECEIPT_4 = {
    "schema": 4,
    "model": "luma:latest",
    "digest": "d" * 64,
    "url": URL,
    "ollama": "0.34.2",
    "blob": "b" * 64,
    "num_ctx": 4096,
    "compared": [{"shape": "one", "where": "Ollama's /api/chat", "lead": 3}],
}


class Names:
    """A daemon as a table of names and digests."""

    url = URL

    def __init__(self, *models):
        self.there = {model.name: model.digest for model in models}

    def find(self, model):
        """Find by the very name."""
        return Listed(model, self.there[model]) if model in self.there else None

    def names(self):
        """Name the models."""
        return list(self.there)

    def digest(self, model):
        """Give its digest."""
        return self.there.get(model)

    def copy(self, source, target):
        """Give another name."""
        self.there[target] = self.there[source]

    def delete(self, model):
        """Forget a name."""
        self.there.pop(model, None)


@pytest.mark.parametrize(
    ("changes", "is_ours"),
    [
        ({}, True),
        ({"url": "http://localhost:7"}, True),
        ({"digest": "e" * 64}, False),
        ({"url": "http://192.0.2.7:7"}, False),
        ({"model": "other:latest"}, False),
        ({"schema": 3}, False),
        ({"schema": 6}, False),
    ],
)
def test_a_receipt_of_schema_4_owns_what_it_names(tmp_path, changes, is_ours):
    """The same model, digest and daemon are this build's; anything else needs --replace."""
    path = tmp_path / "registered.json"
    path.write_text(json.dumps({**RECEIPT_4, **changes}))

    def refuse(replace):
        registration.refuse_foreign(
            Names(MODEL), "luma:latest", receipt=path, claims=[], replace=replace
        )

    refuse(replace=True)
    if is_ours:
        refuse(replace=False)
        return
    with pytest.raises(ToolError, match="that this build did not register"):
        refuse(replace=False)


def claim(folder, **changes):
    """Write the claim of a build that was killed."""
    mark = "a" * 32
    values = {
        "model": "luma:latest",
        "url": URL,
        "unverified": f"persona-unverified:{mark}",
        "replaced": f"persona-replaced:{mark}",
        "digest": None,
        **changes,
    }
    folder.mkdir(exist_ok=True)
    (folder / f"{mark}.json").write_text(json.dumps(values))
    return values


def test_settling_removes_what_a_kill_left(tmp_path):
    """The temporary models go, a lost name comes back, and nothing else is touched."""
    values = claim(tmp_path / "claims")
    daemon = Names(
        Listed(values["unverified"], "new"), Listed(values["replaced"], "old"), Listed("nova", "x")
    )

    assert claims.settle(daemon, tmp_path / "claims") == []
    assert daemon.there == {"luma:latest": "old", "nova": "x"}
    assert not list((tmp_path / "claims").iterdir())


def test_cleaning_settles_first(luma, served):
    """`persona clean` after a kill leaves no temporary model in Ollama."""
    from builder import cli
    from builder.ollama import client

    folder = luma.parent.parent / "build" / "luma" / ".work" / "claims"
    folder.mkdir(parents=True)
    values = claim(folder, url=served)
    gguf = luma / "tiny.gguf"
    write_tiny(gguf)
    put(client.connect(allow_remote=False), gguf, values["unverified"])

    assert cli.main(["clean", "luma", "--yes"]) == 0
    assert client.connect(allow_remote=False).names() == []


def test_cleaning_goes_on_without_a_daemon(luma, monkeypatch):
    """Where no Ollama answers, the build is deleted all the same."""
    from builder import cli

    monkeypatch.setenv("OLLAMA_HOST", f"127.0.0.1:{find_port()}")
    folder = luma.parent.parent / "build" / "luma" / ".work" / "claims"
    folder.mkdir(parents=True)
    claim(folder)

    assert cli.main(["clean", "luma", "--yes"]) == 0
    assert not (luma.parent.parent / "build" / "luma").exists()


def test_a_silent_daemon_is_warned_about_before_training(tmp_path, monkeypatch, caplog):
    """One line says that the build goes on, and how to start Ollama."""
    url = f"http://127.0.0.1:{find_port()}"
    monkeypatch.setenv("OLLAMA_HOST", url)
    registration.check(
        "luma:latest",
        claims=tmp_path,
        receipt=tmp_path / "registered.json",
        allow_remote=False,
        replace=False,
    )

    assert caplog.messages == [
        (
            f"Ollama at {url} does not answer: the model will be built and then registered "
            "if it answers by then; start it with `ollama serve`"
        )
    ]
