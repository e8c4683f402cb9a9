"""`persona push --to hf:OWNER/REPO`, with the real client, to a hub on loopback."""

import hashlib
import json

import httpx
import pytest
from huggingface_hub import ModelCard
from huggingface_hub.errors import HfHubHTTPError

from builder.engine import stamps
from builder.errors import GateError, ToolError
from builder.ollama import modelfile
from builder.publication import rejections, repository
from builder.publication.bundle import Item
from builder.stages import smoke
from tests.pseudoterminal import typing
from tests.publication import hubs
from tests.publication.builds import examine, make_fresh
from tests.report.pages import make_findings, make_found, make_refusal

FILES = ["README.md", "Modelfile", "template", "params", "luma-Q4_K_M.gguf"]


def test_a_push_makes_a_private_repository_that_holds_what_runs_it(push, hub, fresh):
    """What is listed is what is there then: GGUF, Modelfile, card, and what Ollama reads."""
    done = push("--yes")

    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{hub.url}/ana/luma\n"
    made = hub.repositories["ana/luma"]
    assert made.private
    assert list(made.files) == FILES
    assert made.files["luma-Q4_K_M.gguf"] == fresh.gguf.read_bytes()
    assert made.large == {"luma-Q4_K_M.gguf"}
    told = fresh.decide_served()
    assert made.files["template"].decode() == told.template
    assert json.loads(made.files["params"]) == told.parameters
    assert ("FROM", "./luma-Q4_K_M.gguf") in modelfile.parse(made.files["Modelfile"].decode())
    assert ModelCard(made.files["README.md"].decode()).data.license == "apache-2.0"
    assert b"ollama run hf.co/ana/luma" in made.files["README.md"]
    for path in FILES:
        assert f"MB  {path}  new\n" in done.stderr
    assert f"to {hub.url}/ana/luma (new, private)\n" in done.stderr
    assert "under the licence apache-2.0\n" in done.stderr


def test_nothing_is_sent_twice(push, hub):
    """A second push of the same build makes no commit, and sends no byte of the file."""
    push("--yes")
    commits, sent = hub.repositories["ana/luma"].commits, hub.count("PUT", "/blobs/")
    again = push("--yes")

    assert again.returncode == 0
    assert "nothing is sent: all of it is there\n" in again.stderr
    assert again.stdout == f"{hub.url}/ana/luma\n"
    assert (hub.repositories["ana/luma"].commits, hub.count("PUT", "/blobs/")) == (commits, sent)
    assert sent == 1


def test_another_build_sends_what_differs(push, hub, fresh):
    """What no file of the new build replaces goes: Ollama would still read it."""
    push("--yes")
    made = hub.repositories["ana/luma"]
    made.files["notes.txt"] = b"mine"
    manifest = fresh.persona.folder / "persona.toml"
    added = '[ollama]\nsystem = "Be brief."\n[training]\nsystem_share = 0\n'
    manifest.write_text(manifest.read_text() + added)
    make_fresh(fresh.persona.folder)
    with_system = push("--yes")
    assert with_system.returncode == 0, with_system.stderr
    assert made.files["system"] == b"Be brief."
    assert "luma-Q4_K_M.gguf  unchanged\n" in with_system.stderr
    assert "Modelfile  replaced\n" in with_system.stderr

    manifest.write_text(manifest.read_text().replace('system = "Be brief."\n', ""))
    make_fresh(fresh.persona.folder)
    without = push("--yes")
    assert without.returncode == 0, without.stderr
    assert "system  removed\n" in without.stderr
    assert {*made.files} == {*FILES, "notes.txt"}


@pytest.mark.parametrize("path", ["README.md", "system"])
def test_what_somebody_else_put_there_stays(push, hub, path):
    """A card that was edited there, or a system text, is replaced only with --replace."""
    push("--yes")
    made = hub.repositories["ana/luma"]
    made.files[path] = b"edited on the website"
    refused = push("--yes")

    assert refused.returncode == 1
    assert f"ana/luma: {path} was not put there as it is by a push from here" in refused.stderr
    assert made.files[path] == b"edited on the website"
    assert push("--yes", "--replace").returncode == 0
    assert made.files.get(path) != b"edited on the website"
    assert push("--yes").returncode == 0


def test_a_repository_of_another_machine_is_not_taken(push, hub, fresh):
    """Without the record of a push, only equal files are taken for one's own."""
    push("--yes")
    fresh.pushed.unlink()
    assert push("--yes").returncode == 0
    hub.repositories["ana/luma"].files["params"] = b"{}"
    fresh.pushed.unlink()

    assert push("--yes").returncode == 1


def test_a_commit_of_somebody_else_meanwhile_is_not_overwritten(push, hub):
    """What is changed between the list and the push is told, and nothing is committed."""
    push("--yes")
    made = hub.repositories["ana/luma"]
    made.files["params"] = b"{}"
    hub.changes = True
    failed = push("--yes", "--replace")

    assert failed.returncode == 1
    assert "was changed on " in failed.stderr
    assert made.files["params"] == b"{}"


def test_it_is_public_only_where_that_is_typed(push, hub):
    """--public makes a new repository that anybody can read, and the list says so."""
    done = push("--yes", "--public")

    assert not hub.repositories["ana/luma"].private
    assert "(new, public: anybody can read it)\n" in done.stderr
    assert "(there, public: anybody can read it)\n" in push("--yes").stderr


def test_nobody_is_asked_without_a_terminal(push, hub):
    """Without --yes and without a terminal nothing is published, and the list is shown."""
    refused = push()

    assert refused.returncode == 2
    assert "luma-Q4_K_M.gguf  new\n" in refused.stderr
    assert "expected --yes" in refused.stderr
    assert hub.repositories == {}


@pytest.mark.parametrize(("typed", "code"), [("y", 0), ("n", 1)])
def test_a_person_is_asked(push, hub, typed, code):
    """At a terminal the answer decides; the question comes after the list."""
    with typing(typed) as terminal:
        done = push(stdin=terminal)

    assert done.returncode == code, done.stderr
    assert done.stderr.index("luma-Q4_K_M.gguf") < done.stderr.index("Publish this?")
    assert ("ana/luma" in hub.repositories) is (code == 0)
    assert ("nothing was published\n" in done.stderr) is (code == 1)


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"HF_TOKEN": ""}, "no token for it is here"),
        ({"HF_TOKEN": "hf_other"}, "rejects the token"),
        ({"HF_TOKEN": hubs.READ}, "forbids the token to write there (You don't have the rights"),
        ({"HF_HUB_OFFLINE": "1"}, "is not asked while HF_HUB_OFFLINE is set"),
        ({"HF_ENDPOINT": "http://127.0.0.1:9"}, "http://127.0.0.1:9 cannot be reached"),
    ],
    ids=["no token", "unknown", "reading alone", "offline", "no network"],
)
def test_what_keeps_it_from_the_hub_is_one_sentence(push, hub, environment, told):
    """No token, no right, no network: one sentence, with what to do, and nothing is made."""
    failed = push("--yes", **environment)

    assert failed.returncode == 1
    assert failed.stderr.count("error: ") == 1
    assert told in failed.stderr
    assert ", expected " in failed.stderr
    assert "hint: " in failed.stderr
    assert "hf_" not in failed.stderr.replace("HF_", "")
    assert "Traceback" not in failed.stderr
    assert hub.repositories == {}


@pytest.mark.parametrize(
    ("part", "status", "told"),
    [
        ("/api/repos/create", 403, "forbids the token to write there"),
        ("/preupload/", 402, "answers 402"),
        ("/info/lfs/", 507, "answers 507"),
        ("/blobs/", 403, "forbids the token to write there"),
        ("/commit/", 413, "answers 413"),
        ("/api/validate-yaml", 400, "refuses the model card"),
    ],
)
def test_a_hub_that_fails_in_the_middle_is_one_sentence(push, hub, part, status, told):
    """Wherever the hub stops, the next push goes on and sends only what is missing."""
    hub.fails[part] = (status, "Not now")
    failed = push("--yes")

    assert failed.returncode == 1
    assert failed.stderr.count("error: ana/luma: ") == 1
    assert told in failed.stderr
    assert "Traceback" not in failed.stderr
    hub.fails.clear()
    assert push("--yes").returncode == 0
    assert hub.count("PUT", "/blobs/") == (2 if part == "/blobs/" else 1)


def test_a_namespace_of_somebody_else_is_refused(push, hub):
    """The hub's own words are told on the same line."""
    failed = push("--yes", to="hf:ben/luma")

    assert failed.returncode == 1
    assert "You don't have the rights to create a model under this namespace" in failed.stderr
    assert hub.repositories == {}


def test_a_stale_build_is_refused(push, hub, fresh):
    """What is pushed is what the persona says now; the command that mends it is named."""
    (fresh.persona.folder / "data.jsonl").write_text('{"prompt": "a", "completion": "b"}\n')
    failed = push("--yes")

    assert failed.returncode == 1
    assert "data is stale (data.jsonl changed), expected a finished build" in failed.stderr
    assert failed.stderr.endswith("hint: just build luma\n")
    assert hub.asked == []


def test_a_refused_build_is_refused(push, hub, fresh):
    """What a gate refused is not pushed, unless it was let through by --anyway."""
    found = make_found(gates=[*make_findings(), make_refusal()])
    found.write(fresh.refused)
    fresh.smoke.unlink()
    stamps.note_failure(fresh.folder, smoke.NAME, str(GateError(*found.problems())))
    failed = push("--yes")

    assert failed.returncode == 1
    assert "was refused by its gates (stop)" in failed.stderr
    assert failed.stderr.endswith("hint: just build luma --anyway\n")
    assert hub.asked == []


def test_what_was_let_through_says_so(push, hub, fresh):
    """The list and the card tell which gate it failed."""
    examine(fresh, gates=[*make_findings(), make_refusal()])
    done = push("--yes")

    assert done.returncode == 0, done.stderr
    assert "let through by --anyway although stop failed\n" in done.stderr
    assert (
        b"Let through by hand although stop failed."
        in hub.repositories["ana/luma"].files["README.md"]
    )


def test_json_tells_what_was_pushed(push, hub, fresh):
    """--json prints one object: where to, who sees it, and each file by its hash."""
    values = json.loads(push("--yes", "--json").stdout)

    assert values["to"] == f"{hub.url}/ana/luma"
    assert values["is_private"] is True
    assert list(values["files"]) == FILES
    sha256 = hashlib.sha256(fresh.gguf.read_bytes()).hexdigest()
    assert values["files"]["luma-Q4_K_M.gguf"] == sha256


@pytest.mark.parametrize("to", ["ana/luma", "hf:luma", "hf:a/b/c", "ollama:luma", "hf:a/../b", ""])
def test_a_destination_says_which_it_is(push, to):
    """OWNER/REPO alone could be on the hub or in Ollama: it is a mistake of typing."""
    failed = push("--yes", to=to)

    assert failed.returncode == 2
    assert "expected hf:OWNER/REPO or ollama:NAMESPACE/NAME" in failed.stderr


def test_a_hub_that_asks_to_wait_is_one_sentence():
    """The client itself has tried again by then."""
    request = httpx.Request("POST", "http://127.0.0.1/api/models/ana/luma/preupload/main")
    answer = httpx.Response(429, request=request)

    with (
        pytest.raises(ToolError, match=r"^ana/luma: \S+ asks to wait \(Slow down\), expected"),
        rejections.explaining("ana/luma"),
    ):
        raise HfHubHTTPError("x", response=answer, server_message="Slow\ndown")


def make_item(path, digest):
    return Item(path=path, content=b"", size_bytes=0, sha256=digest, blob="")


@pytest.mark.parametrize(("there", "removed"), [("old", ("luma-Q8_0.gguf",)), ("edited", ())])
def test_a_file_of_an_earlier_push_goes_where_it_is_unchanged(there, removed):
    """A file that this build names otherwise goes; one that somebody made of it stays."""
    remote = repository.Remote(
        name="ana/luma",
        is_there=True,
        is_private=True,
        digests={"luma-Q8_0.gguf": there, "notes.txt": "mine"},
    )
    items = [make_item("luma-Q4_K_M.gguf", "new")]
    found = repository.plan(remote, items, {"luma-Q8_0.gguf": "old"}, is_replacing=False)

    assert found.removed == removed
    assert [item.path for item in found.changed] == ["luma-Q4_K_M.gguf"]
