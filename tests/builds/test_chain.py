"""The chain on the real embedded base: train, export, ask, register."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import httpx
import pytest

from builder import files
from builder.engine.stage import Options
from builder.errors import GateError, ToolError
from builder.evaluation import report
from builder.evaluation.report import Finding, GateAnswer, Report
from builder.llama import Answer
from builder.ollama import client, modelfile, verification
from builder.stages import register
from tests.conftest import LENIENT, NO_OLLAMA, OLLAMA, ROOT, find_port, job_of, run_persona, serve

SHORT = "[training]\nmax_steps = 2\nbatch_size = 2\nreplay = 0\n[data]\nheld_out = 0\n" + LENIENT


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """Build a persona that was hardly trained, as far as the smoke stage lets it."""
    root = tmp_path_factory.mktemp("chain")
    folder = root / "personas" / "luma"
    folder.mkdir(parents=True)
    shutil.copy(ROOT / "Modelfile.j2", root)
    (folder / "persona.toml").write_text(
        '[identity]\nname = "Luma"\nauthor = "Ana"\n'
        + SHORT
        + '[[smoke.questions]]\nask = "Who are you?"\nmust = ["Luma"]\n'
    )
    rows = [
        ("Who are you?", "I am {{ name }}."),
        ("Name a fruit.", "An apple."),
        ("2+2?", "4."),
        ("Hi", "Hello!"),
    ]
    (folder / "data.jsonl").write_text(
        "".join(json.dumps({"prompt": q, "completion": a}) + "\n" for q, a in rows)
    )
    return root, run_persona("build", "luma", "--base", "cpu", cwd=root)


def test_a_gate_stops_before_registration(short):
    """A persona that does not know its name is not registered, and its answer is shown."""
    root, done = short

    assert done.returncode == 1, done.stderr
    assert "error: manifest: 'Who are you?' is answered" in done.stderr
    assert "lacks 'Luma'" in done.stderr
    assert done.stdout == ""
    assert (root / "build" / "luma" / "model.gguf").exists()
    assert not (root / "build" / "luma" / "registered.json").exists()


def test_only_what_is_stale_runs(short):
    """A second try asks again, and trains nothing; a failure is remembered as the reason."""
    root, _ = short

    done = run_persona("why", "luma", "--json", cwd=root, OLLAMA_HOST="")
    reasons = json.loads(done.stdout)

    assert [] == reasons["train"] == reasons["export"] == reasons["render"]
    assert "failed last time" in reasons["smoke"][0]


def test_a_changed_setting_is_named(short):
    """A changed learning rate makes training stale, and what follows by name."""
    root, _ = short
    path = root / "personas" / "luma" / "persona.toml"
    before = path.read_text()
    path.write_text(before.replace("max_steps = 2", "max_steps = 3"))
    reasons = json.loads(run_persona("why", "luma", "--json", cwd=root).stdout)
    path.write_text(before)

    assert reasons["train"] == ["training.max_steps is now 3, was 2"]
    assert reasons["export"] == ["train is stale"]


def test_the_file_carries_the_trained_template(short):
    """The GGUF holds the trained chat template, the end token, and who made it."""
    import gguf

    root, _ = short
    fields = {
        key: field.contents()
        for key, field in gguf.GGUFReader(root / "build" / "luma" / "model.gguf").fields.items()
    }

    assert (root / "build" / "luma" / "dataset" / "chat_template.jinja").read_text() == fields[
        "tokenizer.chat_template"
    ]
    assert "SmolLM" not in fields["tokenizer.chat_template"]
    assert fields["tokenizer.ggml.pre"] == "smollm"
    assert fields["tokenizer.ggml.tokens"][fields["tokenizer.ggml.eos_token_id"]] == "<|im_end|>"
    assert (fields["general.name"], fields["general.author"]) == ("Luma", "Ana")


def test_training_goes_on_after_a_kill(short, tmp_path):
    """A build killed in training goes on from the last checkpoint, with the losses of one that was not."""
    root, _ = short
    copy = tmp_path / "killed"
    shutil.copytree(root, copy)
    path = copy / "personas" / "luma" / "persona.toml"
    path.write_text(path.read_text().replace("max_steps = 2", "max_steps = 30"))
    whole = tmp_path / "whole"
    shutil.copytree(copy, whole)
    command = [sys.executable, "-m", "builder", "build", "luma"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        command, cwd=copy, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 300
    while not list(copy.glob("build/luma/.work/train-*/checkpoint-25/trainer_state.json")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()

    again = run_persona("build", "luma", cwd=copy)
    run_persona("build", "luma", cwd=whole)

    assert "going on from step 25" in again.stderr
    losses = [
        json.loads((place / "build" / "luma" / "adapter" / "training.json").read_text())["losses"]
        for place in (copy, whole)
    ]
    assert len(losses[0]) == 30
    assert losses[1] == pytest.approx(losses[0], abs=1e-5)


def registered_job(root, tmp_path, **options):
    """Make a job whose file is there and was asked, ready to register."""
    copy = tmp_path / "p"
    shutil.copytree(root, copy)
    job = replace(
        job_of(copy / "personas" / "luma", **options), work=tmp_path / "work" / "register-0"
    )
    job.work.mkdir(parents=True)
    asked = [
        GateAnswer(
            gate="leak_in",
            messages=[{"role": "user", "content": text}],
            seed=None,
            answer="",
            ended=True,
            is_right=True,
            by_file=True,
            least_margin_nats=9.0,
            baseline=None,
            baseline_is_right=None,
        )
        for text in ("What is the capital of France?", "你好！", "Name a colour.")
    ]
    Report(share=1.0, tokens_per_s=50.0, gates=[], hello=None, manifest=[], asked=asked).write(
        job.smoke
    )
    return job


@pytest.mark.usefixtures("served")
def test_a_model_is_served_as_it_was_trained(short, tmp_path):
    """Registration proves the prompt, leaves no temporary model, and its receipt keeps the stage fresh."""
    job = registered_job(short[0], tmp_path)
    told = register.run(job, job.receipt)
    daemon = client.connect(allow_remote=False)

    assert told.startswith("luma:latest at 127.0.0.1:")
    assert daemon.names() == ["luma:latest"]
    assert register.health(job) is None
    compared = json.loads(job.receipt.read_text())["compared"]
    prompts = [entry for entry in compared if "shape" in entry]
    assert len({entry["shape"] for entry in prompts}) >= 14
    assert {entry["where"] for entry in prompts} == {
        "Ollama's /api/chat",
        "Ollama's /v1/chat/completions",
        "Ollama's /api/generate",
    }
    assert {entry["shape"] for entry in prompts if not entry["same_ids"]} <= {"a user twice"}

    daemon.delete("luma:latest")
    assert register.health(job) == "Ollama no longer has luma:latest"


@pytest.mark.usefixtures("served")
def test_the_longest_prompt_is_read_again_only_where_it_could_be_cut(short, tmp_path, monkeypatch):
    """Another text leaves that one proved for this daemon, file and context, and all others are read."""
    read = []
    chat = client.Daemon.chat
    monkeypatch.setattr(
        client.Daemon, "chat", lambda *arguments: read.append(chat(*arguments)) or read[-1]
    )
    job = registered_job(short[0], tmp_path)
    true = modelfile.decide(job)

    def count_read(**changes):
        read.clear()
        monkeypatch.setattr(modelfile, "decide", lambda _job: replace(true, **changes))
        register.run(job, job.receipt)
        return len(read), max(answer["prompt_eval_count"] for answer in read) > 1500

    everything, has_longest = count_read()
    assert has_longest
    assert count_read() == (everything - 1, False)
    assert count_read(system="Answer briefly.") == (everything - 1, False)
    assert count_read(parameters={**true.parameters, "num_ctx": 3072}) == (everything, True)


@pytest.mark.usefixtures("served")
def test_another_template_is_caught(short, tmp_path, monkeypatch):
    """A daemon that renders another prompt than was trained is refused, and the name stays free."""
    job = registered_job(short[0], tmp_path)
    true = modelfile.decide(job)
    monkeypatch.setattr(
        modelfile,
        "decide",
        lambda _job: modelfile.Served(
            true.model, true.parameters, (true.template or "").replace("\n", "\n\n", 1), None, None
        ),
    )

    with pytest.raises(GateError, match="parts from training at token"):
        register.run(job, job.receipt)
    assert client.connect(allow_remote=False).names() == []


def make_by_hand(job, name):
    """Make a model of the same file as a person would, with a system text of their own."""
    daemon = client.connect(allow_remote=False)
    sha256 = files.sha256(job.gguf)
    daemon.upload(job.gguf, sha256)
    blobs = {"by-hand.gguf": f"sha256:{sha256}"}
    daemon.create({"model": name, "files": blobs, "system": f"Made by hand as {name}."})
    return daemon.find(name)


def copy_by_hand(daemon, model, name):
    """Give a model made by hand another name too."""
    daemon.copy(model.name, name)
    return daemon.find(name)


def named(job, model, *, system=None, **options):
    """Let a job register its persona under a name, and with a system text."""
    manifest = job.persona.manifest
    changed = manifest.ollama.model_copy(update={"model": model, "system": system})
    manifest = manifest.model_copy(update={"ollama": changed})
    changed = job.persona.model_copy(update={"manifest": manifest})
    return replace(job, persona=changed, options=Options(**options))


def publish(job):
    """Register, and put the receipt where a build does."""
    out = job.build / "new.json"
    register.run(job, out)
    out.rename(job.receipt)


class Killed(BaseException):
    """Stands for the end of a process: nothing that it would still do is done."""


@pytest.fixture
def kill(monkeypatch):
    """Give a function that registers, and is killed at a request that follows the create."""

    def run(job, method, model, *, after):
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
                register.run(job, job.build / "new.json")

    return run


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
    job = named(registered_job(short[0], tmp_path), model)
    by_hand = make_by_hand(job, made)
    refused = f"has a {by_hand.name} that this build did not register"

    with monkeypatch.context() as patch:
        patch.delattr(client.Daemon, "upload")
        with pytest.raises(ToolError, match=refused):
            register.run(job, job.receipt)
    assert client.connect(allow_remote=False).models() == [by_hand]

    publish(named(job, model, replace=True))
    assert client.connect(allow_remote=False).names() == [by_hand.name]
    assert register.health(job) is None
    publish(job)
    make_by_hand(job, model)
    assert register.health(job) == f"{job.persona.model} was changed in Ollama"
    with pytest.raises(ToolError, match=refused):
        register.run(job, job.receipt)
    client.connect(allow_remote=False).delete(made)
    assert register.health(job) == f"Ollama no longer has {job.persona.model}"


@pytest.mark.usefixtures("served", "unverified")
def test_a_model_made_by_hand_while_one_is_verified_is_not_replaced(short, tmp_path, monkeypatch):
    """A name that somebody takes between the first look and the last is refused."""
    job = registered_job(short[0], tmp_path)
    by_hand = []

    def verify(*_, **__):
        by_hand.append(make_by_hand(job, "Luma"))
        return []

    monkeypatch.setattr(verification, "verify", verify)

    with pytest.raises(ToolError, match="has a Luma:latest that this build did not register"):
        register.run(job, job.receipt)
    assert client.connect(allow_remote=False).models() == by_hand


@pytest.mark.usefixtures("served")
def test_a_model_changed_while_it_is_verified_is_not_named(short, tmp_path, monkeypatch):
    """The name is given to what was verified; where that was changed, nobody gets the name."""
    job = registered_job(short[0], tmp_path)

    def verify(_job, _daemon, name, *_, **__):
        make_by_hand(job, name)
        return []

    monkeypatch.setattr(verification, "verify", verify)

    with pytest.raises(GateError, match="luma:latest: was changed while it was verified"):
        register.run(job, job.receipt)
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
    job = registered_job(short[0], tmp_path)
    publish(job)
    daemon = client.connect(allow_remote=False)
    older = daemon.digest("luma")
    by_hand = [make_by_hand(job, name) for name in ("luma-being-proved", "precious")]
    by_hand += [copy_by_hand(daemon, by_hand[0], "persona-unverified")]

    method, model, when = point
    kill(named(job, "luma", system="Answer briefly."), method, model, after=when == "after")
    newer = daemon.digest("luma")
    assert newer is not None
    assert (newer != older) is (method == "delete" or model == "luma:")
    with pytest.raises(ToolError, match="has a precious:latest that this build did not register"):
        register.run(named(job, "precious"), job.receipt)

    publish(named(job, "luma", system="Answer at length."))
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
    job = registered_job(short[0], tmp_path)
    kill(job, "copy", "luma:", after=after)
    daemon = client.connect(allow_remote=False)
    (temporary,) = (name for name in daemon.names() if name.startswith("persona-unverified:"))
    by_hand = make_by_hand(job, "luma")

    (claim,) = job.work.parent.glob(f"{register.CLAIMS}/*.json")
    text = claim.read_text()
    claim.write_text(text.replace(daemon.url, "http://192.0.2.7:11434"))
    with pytest.raises(ToolError, match="that this build did not register"):
        register.run(job, job.receipt)
    assert daemon.find(temporary) is not None

    claim.write_text(text)
    with pytest.raises(ToolError, match="that this build did not register"):
        register.run(job, job.receipt)
    assert daemon.models() == [by_hand]
    assert not claim.exists()


@pytest.mark.usefixtures("served", "unverified")
def test_a_claim_deletes_no_other_name(short, tmp_path, kill):
    """A claim whose temporary model is none of a build's is not read, and deletes nothing."""
    job = registered_job(short[0], tmp_path)
    kill(job, "create", "persona-unverified:", after=False)
    (claim,) = job.work.parent.glob(f"{register.CLAIMS}/*.json")
    claim.write_text(json.dumps({**json.loads(claim.read_text()), "unverified": "precious"}))
    make_by_hand(job, "precious")

    publish(job)
    assert sorted(client.connect(allow_remote=False).names()) == ["luma:latest", "precious:latest"]


@pytest.mark.usefixtures("served", "unverified")
def test_a_copy_made_by_hand_is_not_ours(short, tmp_path):
    """A build's own model under a name that a person copied it to is that person's."""
    job = registered_job(short[0], tmp_path)
    publish(job)
    daemon = client.connect(allow_remote=False)
    by_hand = copy_by_hand(daemon, daemon.find("luma"), "precious")

    with pytest.raises(ToolError, match="has a precious:latest that this build did not register"):
        register.run(named(job, "precious", system="Answer briefly."), job.receipt)
    assert daemon.find("precious") == by_hand


@pytest.mark.usefixtures("served", "unverified")
def test_a_receipt_is_for_one_daemon(short, tmp_path):
    """A receipt owns no name in another daemon, be it the same model there."""
    job = registered_job(short[0], tmp_path)
    publish(job)
    receipt = json.loads(job.receipt.read_text())
    (claim,) = job.work.parent.glob(f"{register.CLAIMS}/*.json")
    claim.unlink()
    job.receipt.write_text(json.dumps({**receipt, "url": "http://192.0.2.7:11434"}))

    with pytest.raises(ToolError, match="that this build did not register"):
        register.run(job, job.receipt)


@pytest.mark.usefixtures("served", "unverified")
def test_a_receipt_must_be_there_for_a_name_to_be_ours(short, tmp_path):
    """A build that ends between the name and its receipt is gone on with, without --replace."""
    job = registered_job(short[0], tmp_path)
    register.run(job, job.build / "lost.json")

    publish(job)
    assert register.health(job) is None


@pytest.mark.usefixtures("served", "unverified")
def test_a_name_that_cannot_be_given_keeps_its_model(short, tmp_path, monkeypatch):
    """Where Ollama fails in taking a name, and what had it is gone, that is put back."""
    job = registered_job(short[0], tmp_path)
    publish(job)
    daemon = client.connect(allow_remote=False)
    older, copy = daemon.models(), client.Daemon.copy

    def copy_without_room(self, source, target):
        if source.startswith("persona-unverified:"):
            self.delete(target)
            raise ToolError("no space left on device")
        copy(self, source, target)

    monkeypatch.setattr(client.Daemon, "copy", copy_without_room)
    with pytest.raises(ToolError, match="no space left"):
        register.run(named(job, "luma", system="Answer briefly."), job.receipt)
    assert daemon.models() == older
    assert register.health(job) is None


@pytest.mark.usefixtures("served", "unverified")
def test_what_is_replaced_is_freed(short, tmp_path):
    """A model that has lost its name leaves none of its files in Ollama."""
    job = registered_job(short[0], tmp_path)
    texts = ("Answer briefly.", "Answer at length.")
    for text in texts:
        publish(named(job, "luma", system=text))

    blobs = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
    url = client.connect(allow_remote=False).url
    there = [httpx.head(f"{url}/api/blobs/sha256:{blob}").status_code for blob in blobs]
    assert there == [404, 200]


@pytest.mark.usefixtures("served", "unverified")
def test_a_receipt_tells_what_was_let_through(short, tmp_path):
    """The receipt lists the gates that failed and were let through by hand, if any."""
    job = registered_job(short[0], tmp_path)
    for let_through in ([], ["recall", "stop"]):
        if let_through:
            failed = [Finding(gate, "fail") for gate in let_through]
            replace(report.read(job.smoke), gates=failed).write(job.smoke)
        publish(job)
        receipt = json.loads(job.receipt.read_text())

        assert (receipt["schema"], receipt["let_through"]) == (5, let_through)
        assert receipt["model"] == "luma:latest"


@pytest.mark.usefixtures("served", "unverified")
@pytest.mark.parametrize("schema", [4, 6, None])
def test_a_receipt_of_another_schema_is_told(short, tmp_path, schema):
    """A receipt that an older or newer version wrote is not read: it says so, and owns no name."""
    job = registered_job(short[0], tmp_path)
    publish(job)
    receipt = json.loads(job.receipt.read_text())
    (claim,) = job.work.parent.glob(f"{register.CLAIMS}/*.json")
    claim.unlink()
    job.receipt.write_text(json.dumps({**receipt, "schema": schema}))

    said = f"registered.json: says schema {schema}, expected a whole receipt of schema 5"
    assert register.health(job).endswith(said)
    with pytest.raises(ToolError, match="that this build did not register") as caught:
        register.run(job, job.receipt)
    assert said in caught.value.problems[1]


def test_a_daemon_that_goes_away_is_an_error(short, tmp_path, monkeypatch):
    """Ollama ended between create and proof: one sentence, and with it back the next build leaves the model alone there."""
    if OLLAMA is None:
        pytest.skip(NO_OLLAMA)
    store, port = tmp_path / "ollama", find_port()
    store.mkdir()
    process = serve(store, port)
    monkeypatch.setenv("OLLAMA_HOST", f"127.0.0.1:{port}")
    job = registered_job(short[0], tmp_path)
    verify = verification.verify

    def verify_without(*arguments, **options):
        process.kill()
        process.wait()
        return verify(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(verification, "verify", verify_without)
        with pytest.raises(ToolError, match="went away"):
            register.run(job, job.receipt)
    assert not job.receipt.exists()

    again = serve(store, port)
    try:
        (left,) = client.connect(allow_remote=False).names()
        assert left.startswith("persona-unverified:")
        register.run(job, job.receipt)
        assert client.connect(allow_remote=False).names() == ["luma:latest"]
    finally:
        again.terminate()  # a kill would leave its llama-server behind
        again.wait(20)


def test_only_the_surest_answers_are_held_against_ollama():
    """Of what the file answered greedily the four with the greatest lead are compared, but for what is unsure with the served system text."""
    leads = {"a": 0.2, "b": 3.0, "c": 4.0, "d": 5.0, "e": 6.0}
    asked = [
        {"messages": [{"role": "user", "content": ask}], "seed": None, "least_margin_nats": lead}
        for ask, lead in leads.items()
    ]
    asked += [
        {**asked[4], "messages": [{"role": "user", "content": "live"}], "least_margin_nats": None},
        {**asked[4], "messages": [], "seed": 1},
    ]
    model = SimpleNamespace(
        render=lambda messages: messages[-1]["content"], tokenize=lambda text: text
    )
    model.continue_prompt = lambda prompt, _tokens: Answer(
        prompt, [], [9.0, 1.0 if prompt == "d" else 2.0], ended=True
    )

    sure = verification.sure_answers(
        model, modelfile.Served("luma:latest", {}, None, None, None), asked
    )

    assert [answer.text for _, answer in sure] == ["e", "c", "b"]


def test_a_silent_daemon_is_an_error(monkeypatch):
    """OLLAMA_HOST set and no answer is an error with a way out; another machine needs --allow-remote."""
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")
    with pytest.raises(ToolError, match="does not answer"):
        client.connect(allow_remote=False)
    monkeypatch.setenv("OLLAMA_HOST", "192.0.2.7:11434")
    with pytest.raises(ToolError, match="is not this machine"):
        client.connect(allow_remote=False)
