"""Pushing with the real Ollama, to a registry on loopback."""

import shutil

import pytest

from builder import files
from builder.engine import freshness, publish
from builder.engine.hashes import Hashes
from builder.errors import ToolError
from builder.ollama import client
from builder.ollama.registered import Receipt
from builder.publication import registry
from builder.stages import export, parity, register, smoke
from tests.conftest import run_persona
from tests.ollama import tiny
from tests.publication import registries


@pytest.fixture
def there(served):
    """Connect to the private daemon."""
    assert served
    return client.connect(allow_remote=False)


@pytest.fixture
def receipt(there, tmp_path):
    """Register a model of a few kilobytes."""
    gguf = tmp_path / "tiny.gguf"
    tiny.write_tiny(gguf)
    tiny.put(there, gguf, "luma:latest")
    return make_receipt(there)


def make_receipt(there):
    values = {"model": "luma:latest", "digest": there.digest("luma:latest"), "url": there.url}
    others = {"ollama": there.version, "blob": "0", "num_ctx": 64, "let_through": ()}
    return Receipt.model_validate({"schema": 5, **values, **others, "compared": ()})


@pytest.fixture
def remote():
    """Serve a registry."""
    with registries.serve() as served:
        yield served


def test_a_model_is_pushed_under_its_namespace(there, receipt, remote, tmp_path):
    """The registry has manifest and file; the daemon has the model as before, and no copy."""
    name, note = f"{remote.name}/ana/luma", tmp_path / "work" / "pushing.json"
    registry.push(there, receipt, name, note)

    manifest = remote.manifests["ana/luma:latest"]
    digests = [layer["digest"] for layer in manifest["layers"]]
    assert (tmp_path / "tiny.gguf").read_bytes() in remote.blobs.values()
    assert {*digests, manifest["config"]["digest"]} == {*remote.blobs}
    assert there.names() == ["luma:latest"]
    assert not note.exists()


@pytest.mark.parametrize("refusal", [(401, "UNAUTHORIZED"), (403, "DENIED")])
def test_a_namespace_of_somebody_else_is_one_sentence(there, receipt, remote, tmp_path, refusal):
    """What the registry refuses is told once, with what to do; the copy is gone."""
    remote.status, remote.code = refusal
    with pytest.raises(ToolError) as caught:
        registry.push(there, receipt, f"{remote.name}/ben/luma", tmp_path / "pushing.json")

    (problem,) = caught.value.problems
    told = "unknown ollama key" if refusal[0] == 401 else "access denied"
    assert problem == (
        f"{remote.name}/ben/luma: Ollama may not push it there ({told}), expected the right to"
    )
    assert caught.value.hint == registry.SIGN_IN
    assert there.names() == ["luma:latest"]


def test_a_registry_that_is_not_there_is_one_sentence(there, receipt, tmp_path):
    """Without a network nothing is left behind."""
    with pytest.raises(ToolError) as caught:
        registry.push(there, receipt, "127.0.0.1:9/ana/luma", tmp_path / "pushing.json")

    assert len(caught.value.problems) == 1
    assert there.names() == ["luma:latest"]


def test_another_model_of_the_name_stays(there, receipt, remote, tmp_path):
    """What a person made under that name is neither pushed, nor replaced, nor removed."""
    other = tmp_path / "other.gguf"
    other.write_bytes((tmp_path / "tiny.gguf").read_bytes())
    there.create(
        {
            "model": f"{remote.name}/ana/luma",
            "from": "luma:latest",
            "system": "another",
        }
    )
    before = there.models()
    with pytest.raises(ToolError, match="that is not luma:latest, expected none"):
        registry.push(there, receipt, f"{remote.name}/ana/luma", tmp_path / "pushing.json")

    assert sorted(there.models(), key=str) == sorted(before, key=str)
    assert remote.manifests == {}


def test_a_copy_that_a_person_made_stays(there, receipt, remote, tmp_path):
    """A name that has this very model already is pushed as it is."""
    there.copy("luma:latest", f"{remote.name}/ana/luma")
    before = there.models()
    registry.push(there, receipt, f"{remote.name}/ana/luma", tmp_path / "pushing.json")

    assert sorted(there.models(), key=str) == sorted(before, key=str)
    assert "ana/luma:latest" in remote.manifests


def test_a_copy_that_a_kill_left_is_removed(there, receipt, tmp_path):
    """It is known by what was written down before it was made; one that was changed stays."""
    note = tmp_path / "pushing.json"
    for digest, names in (
        (receipt.digest, ["luma:latest"]),
        ("0" * 64, ["ana/luma:latest", "luma:latest"]),
    ):
        there.copy("luma:latest", "ana/luma")
        copy = registry.Copy(model="ana/luma", digest=digest, url=there.url)
        files.write_json(note, copy.model_dump())
        registry.settle(there, note)
        assert sorted(there.names()) == names
        assert not note.exists()


@pytest.mark.parametrize(
    ("name", "is_local"),
    [
        ("ana/luma", False),
        ("registry.example/ana/luma", False),
        ("127.0.0.1:5000/ana/luma", True),
        ("localhost:5000/ana/luma:small", True),
    ],
)
def test_only_a_registry_of_this_machine_is_asked_without_encryption(name, is_local):
    """A password or a model never goes in the clear to another machine."""
    assert registry.is_local(name) is is_local


@pytest.fixture
def registered(fresh, there):
    """Give a build whose model is in Ollama, as its receipt says."""
    tiny.write_tiny(fresh.gguf)
    for stage in (export, parity, smoke):
        publish_again(stage, fresh)
    tiny.put(there, fresh.gguf, "luma:latest")
    make_receipt(there).write(fresh.receipt)
    publish_again(register, fresh)
    return fresh


def publish_again(stage, build):
    """Give an output that lies in its place a true stamp."""
    hashes = Hashes(build.folder)
    described = freshness.describe(stage, build, stage.inputs(build), hashes)
    made = build.folder / publish.NEW / stage.output(build).name
    made.parent.mkdir(exist_ok=True)
    shutil.copy(stage.output(build), made)
    publish.publish(
        stage, build, made, description=described, summary="", took_s=1.0, hashes=hashes
    )
    hashes.save()


def push(build, *arguments):
    return run_persona("push", "luma", *arguments, cwd=build.folder.parent.parent)


def test_the_command_lists_and_pushes(registered, remote, there):
    """The list says what, where to, the licence, and that it is public; the name is the result."""
    name = f"{remote.name}/ana/luma"
    unasked = push(registered, "--to", f"ollama:{name}")
    assert unasked.returncode == 2
    assert remote.manifests == {}
    done = push(registered, "--yes", "--to", f"ollama:{name}")

    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{name}\n"
    for told in (unasked, done):
        assert f"to {name}:latest, public: anybody can pull it\n" in told.stderr
        assert "under the licence apache-2.0\n" in told.stderr
        assert f"MB  luma:latest  at {there.url}\n" in told.stderr
    assert "ana/luma:latest" in remote.manifests
    assert there.names() == ["luma:latest"]


def test_a_model_that_was_changed_in_ollama_is_not_pushed(registered, remote, there):
    """What is pushed is what was verified; the command that puts it back is named."""
    there.create({"model": "luma:latest", "from": "luma:latest", "system": "another"})
    failed = push(registered, "--yes", "--to", f"ollama:{remote.name}/ana/luma")

    assert failed.returncode == 1
    assert "register is stale (luma:latest was changed in Ollama)" in failed.stderr
    assert failed.stderr.endswith("hint: just build luma\n")
    assert remote.manifests == {}


def test_a_registry_that_refuses_is_told_by_the_command(registered, remote, there):
    """One error, one hint, no copy."""
    remote.status, remote.code = 403, "DENIED"
    failed = push(registered, "--yes", "--to", f"ollama:{remote.name}/ben/luma")

    assert failed.returncode == 1
    assert failed.stderr.count("error: ") == 1
    assert f"hint: {registry.SIGN_IN}\n" in failed.stderr
    assert there.names() == ["luma:latest"]
