"""The chain on the real embedded base: train, export, ask, register."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest

from builder import modelfile, ollama
from builder.errors import GateError, ToolError
from builder.llama import Answer
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
    (folder / "persona.toml").write_text('[identity]\nname = "Luma"\nauthor = "Ana"\n' + SHORT + '[[smoke.questions]]\nask = "Who are you?"\nmust = ["Luma"]\n')
    rows = [("Who are you?", "I am {{ name }}."), ("Name a fruit.", "An apple."), ("2+2?", "4."), ("Hi", "Hello!")]
    (folder / "data.jsonl").write_text("".join(json.dumps({"prompt": q, "completion": a}) + "\n" for q, a in rows))
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
    fields = {key: field.contents() for key, field in gguf.GGUFReader(root / "build" / "luma" / "model.gguf").fields.items()}

    assert (root / "build" / "luma" / "dataset" / "chat_template.jinja").read_text() == fields["tokenizer.chat_template"]
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
    process = subprocess.Popen(command, cwd=copy, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
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
    losses = [json.loads((place / "build" / "luma" / "adapter" / "training.json").read_text())["losses"] for place in (copy, whole)]
    assert len(losses[0]) == 30
    assert losses[1] == pytest.approx(losses[0], abs=1e-5)


def registered_job(root, tmp_path, **options):
    """Make a job whose file is there and was asked, ready to register."""
    copy = tmp_path / "p"
    shutil.copytree(root, copy)
    job = replace(job_of(copy / "personas" / "luma", **options), work=tmp_path / "work" / "register-0")
    job.work.mkdir(parents=True)
    questions = [{"messages": [{"role": "user", "content": text}]} for text in ("What is the capital of France?", "你好！", "Name a colour.")]
    job.smoke.write_text(json.dumps({"schema": 2, "asked": [{**question, "seed": None, "least_margin_nats": 9.0} for question in questions]}))
    return job


@pytest.mark.usefixtures("served")
def test_a_model_is_served_as_it_was_trained(short, tmp_path):
    """Registration proves the prompt, leaves no temporary model, and its receipt keeps the stage fresh."""
    job = registered_job(short[0], tmp_path)
    told = register.run(job, job.receipt)
    daemon = ollama.connect(allow_remote=False)

    assert told.startswith("luma:latest at 127.0.0.1:")
    assert daemon.names() == ["luma:latest"]
    assert register.health(job) is None
    compared = json.loads(job.receipt.read_text())["compared"]
    prompts = [entry for entry in compared if "shape" in entry]
    assert len({entry["shape"] for entry in prompts}) >= 14
    assert {entry["where"] for entry in prompts} == {"Ollama's /api/chat", "Ollama's /v1/chat/completions", "Ollama's /api/generate"}
    assert {entry["shape"] for entry in prompts if not entry["same_ids"]} <= {"a user twice"}

    daemon.delete("luma:latest")
    assert register.health(job) == "Ollama no longer has luma:latest"


@pytest.mark.usefixtures("served")
def test_the_longest_prompt_is_read_again_only_where_it_could_be_cut(short, tmp_path, monkeypatch):
    """Another text leaves that one proved for this daemon, file and context, and all others are read."""
    read = []
    chat = ollama.Daemon.chat
    monkeypatch.setattr(ollama.Daemon, "chat", lambda *arguments: read.append(chat(*arguments)) or read[-1])
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
    monkeypatch.setattr(modelfile, "decide", lambda _job: modelfile.Served(true.model, true.parameters, (true.template or "").replace("\n", "\n\n", 1), None, None))

    with pytest.raises(GateError, match="parts from training at token"):
        register.run(job, job.receipt)
    assert ollama.connect(allow_remote=False).names() == []


@pytest.mark.usefixtures("served")
def test_a_model_made_by_hand_is_not_replaced(short, tmp_path):
    """A name that this build did not register is refused without --replace."""
    job = registered_job(short[0], tmp_path)
    register.run(job, job.receipt)
    job.receipt.unlink()
    (job.work / register.CLAIM).unlink()

    with pytest.raises(ToolError, match="that this build did not register"):
        register.run(job, job.receipt)
    register.run(registered_job(short[0], tmp_path / "other", replace=True), job.receipt)


@pytest.mark.usefixtures("served")
def test_a_name_taken_before_a_kill_is_ours(short, tmp_path, monkeypatch):
    """A build that ends between taking the name and its receipt is gone on with, without --replace."""
    job = registered_job(short[0], tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(register, "_check_same", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            register.run(job, job.receipt)

    assert not job.receipt.exists()
    assert ollama.connect(allow_remote=False).names() == ["luma:latest"]
    register.run(job, job.receipt)
    assert register.health(job) is None


def test_a_daemon_that_goes_away_is_an_error(short, tmp_path, monkeypatch):
    """Ollama ended between create and proof: one sentence, and with it back the next build leaves the model alone there."""
    if OLLAMA is None:
        pytest.skip(NO_OLLAMA)
    store, port = tmp_path / "ollama", find_port()
    store.mkdir()
    process = serve(store, port)
    monkeypatch.setenv("OLLAMA_HOST", f"127.0.0.1:{port}")
    job = registered_job(short[0], tmp_path)
    prove = register._prove

    def prove_without(*arguments, **options):
        process.kill()
        process.wait()
        return prove(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(register, "_prove", prove_without)
        with pytest.raises(ToolError, match="went away"):
            register.run(job, job.receipt)
    assert not job.receipt.exists()

    again = serve(store, port)
    try:
        assert ollama.connect(allow_remote=False).names() == ["luma-being-proved:latest"]
        register.run(job, job.receipt)
        assert ollama.connect(allow_remote=False).names() == ["luma:latest"]
    finally:
        again.terminate()  # a kill would leave its llama-server behind
        again.wait(20)


def test_only_the_surest_answers_are_held_against_ollama():
    """Of what the file answered greedily the four with the greatest lead are compared, but for what is unsure with the served system text."""
    leads = {"a": 0.2, "b": 3.0, "c": 4.0, "d": 5.0, "e": 6.0}
    asked = [{"messages": [{"role": "user", "content": ask}], "seed": None, "least_margin_nats": lead} for ask, lead in leads.items()]
    asked += [{**asked[4], "messages": [{"role": "user", "content": "live"}], "least_margin_nats": None}, {**asked[4], "messages": [], "seed": 1}]
    model = SimpleNamespace(render=lambda messages: messages[-1]["content"], tokenize=lambda text: text)
    model.continue_prompt = lambda prompt, _tokens: Answer(prompt, [], [9.0, 1.0 if prompt == "d" else 2.0], ended=True)

    sure = register._sure_answers(model, modelfile.Served("luma:latest", {}, None, None, None), asked)

    assert [answer.text for _, answer in sure] == ["e", "c", "b"]


def test_a_silent_daemon_is_an_error(monkeypatch):
    """OLLAMA_HOST set and no answer is an error with a way out; another machine needs --allow-remote."""
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")
    with pytest.raises(ToolError, match="does not answer"):
        ollama.connect(allow_remote=False)
    monkeypatch.setenv("OLLAMA_HOST", "192.0.2.7:11434")
    with pytest.raises(ToolError, match="is not this machine"):
        ollama.connect(allow_remote=False)
