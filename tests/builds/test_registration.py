"""Registration with a real daemon: nobody's model is lost, and a name is given last."""

import hashlib
import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import httpx
import pytest

from builder import files
from builder.engine.stage import Work
from builder.errors import GateError, ToolError
from builder.evaluation.report import Finding, GateAnswer, Report
from builder.llama import Answer
from builder.ollama import client, verification
from builder.ollama import served as serving
from builder.ollama.served import Served
from builder.project import Options
from builder.stages import register
from tests.conftest import NO_OLLAMA, OLLAMA, build_of, find_port, serve


def ready_build(root, tmp_path, **options):
    """Make a build whose file is there and was asked, ready to register."""
    copy = tmp_path / "p"
    shutil.copytree(root, copy)
    build = build_of(copy / "personas" / "luma", **options)
    texts = ("What is the capital of France?", "你好！", "Name a colour.")
    write_report(build, asked=[answer_to(text) for text in texts])
    return build


def answer_to(text, **changes):
    """Make an answer of which the file was sure."""
    values = {
        "gate": "recall",
        "messages": [{"role": "user", "content": text}],
        "seed": None,
        "answer": "",
        "ended": True,
        "is_right": True,
        "by_file": True,
        "least_margin_nats": 9.0,
        "baseline": None,
        "baseline_is_right": None,
    }
    return GateAnswer(**{**values, **changes})


def write_report(build, *, gates=(), asked=()):
    """Write what a smoke stage would have found."""
    report = Report(
        share=1.0,
        tokens_per_s=1.0,
        gates=list(gates),
        hello=None,
        manifest=[],
        asked=list(asked),
    )
    report.write(build.smoke)


def run(build, out=None):
    """Run the register stage as the engine does; its receipt is put in its place."""
    work = Work(out or build.receipt, build.folder / ".work" / "register-0", build.machine)
    return register.run(register.inputs(build), work)


@pytest.mark.usefixtures("served")
def test_a_model_is_served_as_it_was_trained(short, tmp_path):
    """Registration verifies the prompt and leaves no temporary model; its receipt is fresh."""
    build = ready_build(short[0], tmp_path)
    told = run(build)
    daemon = client.connect(allow_remote=False)

    assert told.startswith("luma:latest at 127.0.0.1:")
    assert daemon.names() == ["luma:latest"]
    assert register.health(build) is None
    compared = json.loads(build.receipt.read_text())["compared"]
    prompts = [entry for entry in compared if "shape" in entry]
    assert len({entry["shape"] for entry in prompts}) >= 14
    assert {entry["where"] for entry in prompts} == {
        "Ollama's /api/chat",
        "Ollama's /v1/chat/completions",
        "Ollama's /api/generate",
    }
    assert {entry["shape"] for entry in prompts if not entry["same_ids"]} <= {"a user twice"}

    daemon.delete("luma:latest")
    assert register.health(build) == "Ollama no longer has luma:latest"


@pytest.mark.usefixtures("served")
def test_the_longest_prompt_is_read_again_only_where_it_could_be_cut(short, tmp_path, monkeypatch):
    """A changed system text leaves the longest prompt verified; all others are read again."""
    read = []
    chat = client.Daemon.chat

    def answer(daemon, model, messages, max_tokens, *others):
        made = chat(daemon, model, messages, max_tokens, *others)
        if max_tokens == 1:  # a prompt is read; how many answers are sure depends on the text
            read.append(made)
        return made

    monkeypatch.setattr(client.Daemon, "chat", answer)
    build = ready_build(short[0], tmp_path)
    true = build.decide_served()

    def count_read(**changes):
        read.clear()
        monkeypatch.setattr(serving, "read", lambda *_, **__: replace(true, **changes))
        run(build)
        return len(read), max(answer.prompt_eval_count for answer in read) > 1500

    everything, has_longest = count_read()
    assert has_longest
    assert count_read() == (everything - 1, False)
    assert count_read(system="Answer briefly.") == (everything - 1, False)
    assert count_read(parameters={**true.parameters, "num_ctx": 3072}) == (everything, True)


@pytest.mark.usefixtures("served")
def test_another_template_is_caught(short, tmp_path, monkeypatch):
    """A daemon that renders another prompt than was trained is refused, and the name stays free."""
    build = ready_build(short[0], tmp_path)
    true = build.decide_served()
    monkeypatch.setattr(
        serving,
        "read",
        lambda *_, **__: replace(true, template=(true.template or "").replace("\n", "\n\n", 1)),
    )

    with pytest.raises(GateError, match="differs from training at token"):
        run(build)
    assert client.connect(allow_remote=False).names() == []


def make_by_hand(build, name):
    """Make a model of the same file as a person would, with a system text of their own."""
    daemon = client.connect(allow_remote=False)
    sha256 = files.sha256(build.gguf)
    daemon.upload(build.gguf, sha256)
    blobs = {"by-hand.gguf": f"sha256:{sha256}"}
    daemon.create({"model": name, "files": blobs, "system": f"Made by hand as {name}."})
    return daemon.find(name)


def copy_by_hand(daemon, model, name):
    """Give a model made by hand another name too."""
    daemon.copy(model.name, name)
    return daemon.find(name)


def named(build, model, *, system=None, **options):
    """Let a build register its persona under a name, and with a system text."""
    manifest = build.persona.manifest
    changed = manifest.ollama.model_copy(update={"model": model, "system": system})
    manifest = manifest.model_copy(update={"ollama": changed})
    changed = build.persona.model_copy(update={"manifest": manifest})
    return replace(build, persona=changed, options=Options(**options))


def publish(build):
    """Register, and put the receipt where a build does."""
    out = build.folder / "new.json"
    run(build, out)
    out.rename(build.receipt)


class Killed(BaseException):
    """Stands for the end of a process: nothing that it would still do is done."""


@pytest.fixture
def kill(monkeypatch):
    """Give a function that registers, and is killed at a request that follows the create."""

    def register_until(build, method, model, *, after):
        is_created = is_dead = False

        def watch(name, request):
            def call(*arguments):
                nonlocal is_created, is_dead
                is_created = is_created or name == "create"
                about = arguments[-1]["model"] if name == "create" else arguments[-1]
                is_last = is_created and name == method and about.startswith(model)
                if is_last and after:
                    request(*arguments)
                is_dead = is_dead or is_last
                if is_dead:
                    raise Killed
                return request(*arguments)

            return call

        with monkeypatch.context() as patch:
            for name in ("create", "copy", "delete", "find"):
                patch.setattr(client.Daemon, name, watch(name, getattr(client.Daemon, name)))
            with pytest.raises(Killed):
                run(build, build.folder / "new.json")

    return register_until


@pytest.fixture
def unverified(monkeypatch):
    """Leave out what a registration compares, which other tests are about."""
    monkeypatch.setattr(verification, "verify", lambda *_, **__: [])


@pytest.mark.usefixtures("served", "unverified")
@pytest.mark.parametrize(
    ("made", "model"),
    [
        ("luma", "luma"),
        ("Nova", "nova"),
        ("nova:Latest", "registry.ollama.ai/library/NOVA"),
        ("Ana/precious:7b", "ana/precious:7B"),
    ],
)
def test_a_model_made_by_hand_is_not_replaced(short, tmp_path, monkeypatch, made, model):
    """A name that this build did not register is refused without --replace, in whatever case it is.

    That is before anything is sent. With it the name is taken as the daemon has it, and is this
    build's own from then on, until somebody makes another model of the name.
    """
    build = named(ready_build(short[0], tmp_path), model)
    by_hand = make_by_hand(build, made)
    refused = f"has a {by_hand.name} that this build did not register"

    with monkeypatch.context() as patch:
        patch.delattr(client.Daemon, "upload")
        with pytest.raises(ToolError, match=refused):
            run(build)
    assert client.connect(allow_remote=False).models() == [by_hand]

    publish(named(build, model, replace=True))
    assert client.connect(allow_remote=False).names() == [by_hand.name]
    assert register.health(build) is None
    publish(build)
    make_by_hand(build, model)
    assert register.health(build) == f"{build.persona.model} was changed in Ollama"
    with pytest.raises(ToolError, match=refused):
        run(build)
    client.connect(allow_remote=False).delete(made)
    assert register.health(build) == f"Ollama no longer has {build.persona.model}"


@pytest.mark.usefixtures("served", "unverified")
def test_a_model_made_by_hand_while_one_is_verified_is_not_replaced(short, tmp_path, monkeypatch):
    """A name that somebody takes between the first look and the last is refused."""
    build = ready_build(short[0], tmp_path)
    by_hand = []

    def verify(*_, **__):
        by_hand.append(make_by_hand(build, "Luma"))
        return []

    monkeypatch.setattr(verification, "verify", verify)

    with pytest.raises(ToolError, match="has a Luma:latest that this build did not register"):
        run(build)
    assert client.connect(allow_remote=False).models() == by_hand


@pytest.mark.usefixtures("served")
def test_a_model_changed_while_it_is_verified_is_not_named(short, tmp_path, monkeypatch):
    """The name is given to what was verified; where that was changed, nobody gets the name."""
    build = ready_build(short[0], tmp_path)

    def verify(_daemon, name, *_, **__):
        make_by_hand(build, name)
        return []

    monkeypatch.setattr(verification, "verify", verify)

    with pytest.raises(GateError, match="luma:latest: was changed while it was verified"):
        run(build)
    assert client.connect(allow_remote=False).names() == []


@pytest.mark.usefixtures("served", "unverified")
@pytest.mark.parametrize(
    "point",
    [
        ("create", "persona-unverified:", "before"),
        ("create", "persona-unverified:", "after"),
        ("copy", "persona-replaced:", "before"),
        ("copy", "persona-replaced:", "after"),
        ("copy", "luma:", "after"),
        ("delete", "persona-unverified:", "after"),
    ],
)
def test_a_kill_loses_nothing_and_leaves_nothing(short, tmp_path, kill, point):
    """Wherever a build is killed, the name serves the older model or the newer, never nothing.

    The next build goes on without --replace, and removes what the killed one made. Models made by
    hand stay: of names that look temporary, and of a name that the persona is given after the kill.
    """
    build = ready_build(short[0], tmp_path)
    publish(build)
    daemon = client.connect(allow_remote=False)
    older = daemon.digest("luma")
    by_hand = [make_by_hand(build, name) for name in ("luma-being-proved", "precious")]
    by_hand += [copy_by_hand(daemon, by_hand[0], "persona-unverified")]

    method, model, when = point
    kill(named(build, "luma", system="Answer briefly."), method, model, after=when == "after")
    newer = daemon.digest("luma")
    assert newer is not None
    assert (newer != older) is (method == "delete" or model == "luma:")
    with pytest.raises(ToolError, match="has a precious:latest that this build did not register"):
        run(named(build, "precious"))

    publish(named(build, "luma", system="Answer at length."))
    assert daemon.digest("luma") not in (older, newer)
    daemon.delete("luma")
    assert sorted(daemon.names()) == sorted(model.name for model in by_hand)
    assert [daemon.find(model.name) for model in by_hand] == by_hand


@pytest.mark.usefixtures("served", "unverified")
@pytest.mark.parametrize("after", [False, True])
def test_a_claim_is_for_one_model_of_one_daemon(short, tmp_path, kill, after):
    """What a kill leaves opens a name to the model that was put there alone.

    A model that is made by hand under the name, before the next try, is refused; so is any where
    the claim is for another daemon, whose temporary models are none of this one's.
    """
    build = ready_build(short[0], tmp_path)
    kill(build, "copy", "luma:", after=after)
    daemon = client.connect(allow_remote=False)
    (temporary,) = (name for name in daemon.names() if name.startswith("persona-unverified:"))
    by_hand = make_by_hand(build, "luma")

    (claim,) = build.claims.glob("*.json")
    text = claim.read_text()
    claim.write_text(text.replace(daemon.url, "http://192.0.2.7:11434"))
    with pytest.raises(ToolError, match="that this build did not register"):
        run(build)
    assert daemon.find(temporary) is not None

    claim.write_text(text)
    with pytest.raises(ToolError, match="that this build did not register"):
        run(build)
    assert daemon.models() == [by_hand]
    assert not claim.exists()


@pytest.mark.usefixtures("served", "unverified")
def test_a_claim_deletes_no_other_name(short, tmp_path, kill):
    """A claim whose temporary model is none of a build's is not read, and deletes nothing."""
    build = ready_build(short[0], tmp_path)
    kill(build, "create", "persona-unverified:", after=False)
    (claim,) = build.claims.glob("*.json")
    claim.write_text(json.dumps({**json.loads(claim.read_text()), "unverified": "precious"}))
    make_by_hand(build, "precious")

    publish(build)
    assert sorted(client.connect(allow_remote=False).names()) == ["luma:latest", "precious:latest"]


@pytest.mark.usefixtures("served", "unverified")
def test_a_copy_made_by_hand_is_not_ours(short, tmp_path):
    """A build's own model under a name that a person copied it to is that person's."""
    build = ready_build(short[0], tmp_path)
    publish(build)
    daemon = client.connect(allow_remote=False)
    by_hand = copy_by_hand(daemon, daemon.find("luma"), "precious")

    with pytest.raises(ToolError, match="has a precious:latest that this build did not register"):
        run(named(build, "precious", system="Answer briefly."))
    assert daemon.find("precious") == by_hand


@pytest.mark.usefixtures("served", "unverified")
def test_a_receipt_is_for_one_daemon(short, tmp_path):
    """A receipt owns no name in another daemon, be it the same model there."""
    build = ready_build(short[0], tmp_path)
    publish(build)
    receipt = json.loads(build.receipt.read_text())
    (claim,) = build.claims.glob("*.json")
    claim.unlink()
    build.receipt.write_text(json.dumps({**receipt, "url": "http://192.0.2.7:11434"}))

    with pytest.raises(ToolError, match="that this build did not register"):
        run(build)


@pytest.mark.usefixtures("served", "unverified")
def test_a_receipt_must_be_there_for_a_name_to_be_ours(short, tmp_path):
    """A build that ends between the name and its receipt is gone on with, without --replace."""
    build = ready_build(short[0], tmp_path)
    run(build, build.folder / "lost.json")

    publish(build)
    assert register.health(build) is None


@pytest.mark.usefixtures("served", "unverified")
def test_a_name_that_cannot_be_given_keeps_its_model(short, tmp_path, monkeypatch):
    """Where Ollama fails in taking a name, and what had it is gone, that is put back."""
    build = ready_build(short[0], tmp_path)
    publish(build)
    daemon = client.connect(allow_remote=False)
    older, copy = daemon.models(), client.Daemon.copy

    def copy_without_room(self, source, target):
        if source.startswith("persona-unverified:"):
            self.delete(target)
            raise ToolError("no space left on device")
        copy(self, source, target)

    monkeypatch.setattr(client.Daemon, "copy", copy_without_room)
    with pytest.raises(ToolError, match="no space left"):
        run(named(build, "luma", system="Answer briefly."))
    assert daemon.models() == older
    assert register.health(build) is None


@pytest.mark.usefixtures("served", "unverified")
def test_what_is_replaced_is_freed(short, tmp_path):
    """A model that has lost its name leaves none of its files in Ollama."""
    build = ready_build(short[0], tmp_path)
    texts = ("Answer briefly.", "Answer at length.")
    for text in texts:
        publish(named(build, "luma", system=text))

    blobs = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
    url = client.connect(allow_remote=False).url
    there = [httpx.head(f"{url}/api/blobs/sha256:{blob}").status_code for blob in blobs]
    assert there == [404, 200]


@pytest.mark.usefixtures("served", "unverified")
def test_a_receipt_tells_what_was_let_through(short, tmp_path):
    """The receipt lists the gates that failed and were let through by --anyway, if any."""
    build = ready_build(short[0], tmp_path)
    for let_through in ([], ["recall", "stop"]):
        failed = [Finding(gate=name, verdict="fail") for name in let_through]
        write_report(build, gates=failed)
        publish(build)
        receipt = json.loads(build.receipt.read_text())

        assert (receipt["schema"], receipt["let_through"]) == (5, let_through)
        assert receipt["model"] == "luma:latest"


@pytest.mark.usefixtures("served", "unverified")
@pytest.mark.parametrize("schema", [3, 6, None])
def test_a_receipt_of_another_schema_is_told(short, tmp_path, schema):
    """A receipt that an older or newer version wrote is not read: it says so, and owns no name."""
    build = ready_build(short[0], tmp_path)
    publish(build)
    receipt = json.loads(build.receipt.read_text())
    (claim,) = build.claims.glob("*.json")
    claim.unlink()
    build.receipt.write_text(json.dumps({**receipt, "schema": schema}))

    said = f"registered.json: says schema {schema}, expected a whole receipt of schema 5"
    assert register.health(build).endswith(said)
    with pytest.raises(ToolError, match="that this build did not register") as caught:
        run(build)
    assert said in caught.value.problems[1]


def test_a_daemon_that_goes_away_is_an_error(short, tmp_path, monkeypatch):
    """Ollama ends between create and verification: one sentence, and the next build finishes."""
    if OLLAMA is None:
        pytest.skip(NO_OLLAMA)
    store, port = tmp_path / "ollama", find_port()
    store.mkdir()
    process = serve(store, port)
    monkeypatch.setenv("OLLAMA_HOST", f"127.0.0.1:{port}")
    build = ready_build(short[0], tmp_path)
    verify = verification.verify

    def verify_without(*arguments, **options):
        process.kill()
        process.wait()
        return verify(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(verification, "verify", verify_without)
        with pytest.raises(ToolError, match="went away"):
            run(build)
    assert not build.receipt.exists()

    again = serve(store, port)
    try:
        (left,) = client.connect(allow_remote=False).names()
        assert left.startswith("persona-unverified:")
        run(build)
        assert client.connect(allow_remote=False).names() == ["luma:latest"]
    finally:
        again.terminate()  # a kill would leave its llama-server behind
        again.wait(20)


def test_only_the_surest_answers_are_compared_with_ollamas():
    """The four greedy answers with the greatest logit margin are compared.

    Those that are unsure under the served system text are left out, and calls, of which Ollama
    gives no text.
    """
    leads = {"a": 0.2, "b": 3.0, "c": 4.0, "d": 5.0, "e": 6.0}
    asked = [answer_to(ask, least_margin_nats=lead) for ask, lead in leads.items()]
    asked += [answer_to("in memory", least_margin_nats=None), answer_to("e", seed=1)]
    asked.append(answer_to("a call", least_margin_nats=9.0, has_tools=True))
    model = SimpleNamespace(
        render=lambda messages: messages[-1]["content"], tokenize=lambda text: text
    )
    model.continue_prompt = lambda prompt, _tokens: Answer(
        prompt, [], [9.0, 1.0 if prompt == "d" else 2.0], ended=True
    )

    sure = verification.sure_answers(
        model,
        Served(model="luma:latest", parameters={}, template=None, system=None, license=None),
        asked,
    )

    assert [answer.text for _, answer in sure] == ["e", "c", "b"]


def test_a_silent_daemon_is_an_error(monkeypatch):
    """No answer at OLLAMA_HOST is an error with a way out; another machine needs --allow-remote."""
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")
    with pytest.raises(ToolError, match="does not answer"):
        client.connect(allow_remote=False)
    monkeypatch.setenv("OLLAMA_HOST", "192.0.2.7:11434")
    with pytest.raises(ToolError, match="is not this machine"):
        client.connect(allow_remote=False)
