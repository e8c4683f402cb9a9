"""`persona remove`: only what a build registered leaves Ollama, and only after asking."""

import json

import pytest

from builder import cli
from builder.ollama import client
from builder.ollama.removal import Registered
from tests.conftest import find_port, run_persona
from tests.ollama.test_registration import RECEIPT_4, claim
from tests.ollama.tiny import put, write_tiny
from tests.pseudoterminal import typing


@pytest.fixture
def model(luma, served):
    """Put a model into a real daemon, as a build of luma would, and write its receipt."""
    daemon = client.connect(allow_remote=False)
    gguf = luma.parent.parent / "tiny.gguf"
    write_tiny(gguf)
    put(daemon, gguf, "luma")
    put(daemon, gguf, "mine")
    folder = luma.parent.parent / "build" / "luma"
    folder.mkdir(parents=True)
    write_receipt(folder, url=served, digest=daemon.digest("luma"))
    return daemon


def write_receipt(folder, **changes):
    (folder / "registered.json").write_text(json.dumps({**RECEIPT_4, **changes}))


def names(daemon):
    return sorted(daemon.names())


def test_a_model_of_this_build_is_removed(luma, model, capsys):
    """With --yes the model is listed, deleted and named; others and the build's files stay."""
    folder = luma.parent.parent / "build" / "luma"
    (folder / "model.gguf").write_text("kept")
    digest = model.digest("luma")

    assert cli.main(["remove", "luma", "--yes"]) == cli.DONE
    printed = capsys.readouterr()
    assert printed.out == "removed luma:latest\n"
    assert printed.err == f"luma:latest  {digest[:12]}  at {model.url}\n"
    assert names(model) == ["mine:latest"]
    assert not (folder / "registered.json").exists()
    assert (folder / "model.gguf").exists()
    assert (luma / "persona.toml").exists()
    assert cli.main(["remove", "luma", "--yes"]) == cli.DONE
    assert "has no model of luma" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"digest": "e" * 64},
            "luma:latest is not what this build registered, expected the digest",
        ),
        ({"url": "http://192.0.2.7:7"}, "was registered at http://192.0.2.7:7, expected that"),
        ({"schema": 99}, "registered.json: says schema 99, expected a whole receipt"),
    ],
)
def test_what_is_not_of_this_build_stays(luma, model, capsys, changes, said):
    """A model with another digest, of another daemon or of an unknown receipt is not touched."""
    folder = luma.parent.parent / "build" / "luma"
    write_receipt(folder, **{"url": model.url, **changes})

    assert cli.main(["remove", "luma", "--yes"]) == cli.MENDABLE
    assert said in capsys.readouterr().err
    assert names(model) == ["luma:latest", "mine:latest"]
    assert (folder / "registered.json").exists()


def test_a_model_of_a_name_without_a_receipt_stays(luma, model, capsys):
    """Somebody's own model of the persona's name is none of the build's."""
    (luma.parent.parent / "build" / "luma" / "registered.json").unlink()

    assert cli.main(["remove", "luma", "--yes"]) == cli.DONE
    assert "has no model of luma" in capsys.readouterr().err
    assert names(model) == ["luma:latest", "mine:latest"]


def test_a_build_that_was_killed_is_removed_too(luma, model):
    """What a claim names by its digest goes, with its temporary models and the claim."""
    folder = luma.parent.parent / "build" / "luma"
    (folder / "registered.json").unlink()
    (folder / ".work").mkdir()
    values = claim(folder / ".work" / "claims", url=model.url, digest=model.digest("luma"))
    model.copy("mine", values["unverified"])

    assert cli.main(["remove", "luma", "--yes"]) == cli.DONE
    assert names(model) == ["mine:latest"]
    assert list((folder / ".work" / "claims").iterdir()) == []


def test_a_model_that_changed_after_the_list_stays(luma, model):
    """Between listing and deleting somebody may take the name: it is compared once more."""
    folder = luma.parent.parent / "build" / "luma"
    registered = Registered(receipt=folder / "registered.json", claims=folder / "claims")
    found = registered.find(model)
    model.create({"model": "luma", "from": "mine", "system": "Other."})

    with pytest.raises(client.ToolError, match="was changed in Ollama"):
        registered.remove(model, found)
    assert names(model) == ["luma:latest", "mine:latest"]
    assert (folder / "registered.json").exists()


def test_a_person_is_asked_first(luma, model):
    """Without --yes a terminal is asked, and nothing is removed where nobody can be."""
    root = luma.parent.parent
    piped = run_persona("remove", "luma", cwd=root)

    assert (piped.returncode, piped.stdout) == (cli.USAGE, "")
    assert "expected --yes" in piped.stderr
    assert "luma:latest" in piped.stderr
    with typing("n") as terminal:
        refused = run_persona("remove", "luma", cwd=root, stdin=terminal)
    assert (refused.returncode, refused.stdout) == (cli.MENDABLE, "")
    assert "Remove this from Ollama?" in refused.stderr
    assert names(model) == ["luma:latest", "mine:latest"]
    with typing("y") as terminal:
        removed = run_persona("remove", "luma", cwd=root, stdin=terminal)
    assert (removed.returncode, removed.stdout) == (cli.DONE, "removed luma:latest\n")
    assert names(model) == ["mine:latest"]


def test_json_lists_and_removes_only_with_yes(model, capsys):
    """Without --yes it names the model, asks nobody and removes nothing; then there is none."""

    def read_json(*arguments):
        assert cli.main([*arguments, "--json"]) == cli.DONE
        return json.loads(capsys.readouterr().out)

    listed = {
        "model": "luma:latest",
        "digest": model.digest("luma"),
        "url": model.url,
        "is_removed": False,
    }
    assert read_json("remove", "luma") == [listed]
    assert names(model) == ["luma:latest", "mine:latest"]
    assert read_json("remove", "luma", "--yes") == [{**listed, "is_removed": True}]
    assert names(model) == ["mine:latest"]
    assert read_json("remove", "luma") == []


def test_what_cannot_be_asked_is_told(luma, capsys, monkeypatch):
    """A name without a build, and a daemon that does not answer, are a sentence each."""
    assert cli.main(["remove", "luma", "--yes"]) == cli.MENDABLE
    assert capsys.readouterr().err.startswith("error: build/luma: no such build, expected one\n")
    (luma.parent.parent / "build" / "luma").mkdir(parents=True)
    monkeypatch.setenv("OLLAMA_HOST", f"127.0.0.1:{find_port()}")
    assert cli.main(["remove", "luma", "--yes"]) == cli.MENDABLE
    assert "does not answer, expected Ollama" in capsys.readouterr().err
