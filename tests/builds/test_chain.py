"""The chain on the real embedded base: train, export, ask."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

from tests.conftest import ROOT, run_persona


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
    reasons = {name: one["reasons"] for name, one in json.loads(done.stdout).items()}

    assert [] == reasons["train"] == reasons["export"] == reasons["render"]
    assert "failed last time" in reasons["smoke"][0]


def test_a_changed_setting_is_named(short):
    """A changed learning rate makes training stale, and what follows by name."""
    root, _ = short
    path = root / "personas" / "luma" / "persona.toml"
    before = path.read_text()
    path.write_text(before.replace("max_steps = 2", "max_steps = 3"))
    told = json.loads(run_persona("why", "luma", "--json", cwd=root).stdout)
    path.write_text(before)

    assert told["train"]["reasons"] == ["training.max_steps is now 3, was 2"]
    assert told["export"]["reasons"] == ["if the output of train changes"]


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


def wait_until(process, has_happened):
    """Wait for something that a build does, which must not end meanwhile."""
    deadline = time.monotonic() + 300
    while not has_happened():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_training_goes_on_after_a_stop_and_a_kill(short, tmp_path):
    """A build resumes from its last checkpoint, and its losses do not differ.

    On SIGTERM training writes one after its step. A build beside the checkpoint of a GPU begins
    anew, and says so.
    """
    root, _ = short
    copy = tmp_path / "killed"
    shutil.copytree(root, copy)
    path = copy / "personas" / "luma" / "persona.toml"
    path.write_text(path.read_text().replace("max_steps = 2", "max_steps = 30"))
    whole = tmp_path / "whole"
    shutil.copytree(copy, whole)
    command = [sys.executable, "-m", "builder", "build", "luma"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    said = tmp_path / "said"
    with said.open("w") as file:
        process = subprocess.Popen(
            [*command, "--json"], cwd=copy, env=environment, stdout=file, stderr=file
        )
        wait_until(process, lambda: re.search(r'"done": \d+, "total": 30', said.read_text()))
        process.send_signal(signal.SIGTERM)
        process.wait()
    stopped = re.search(r"stopped after step (\d+) of 30", said.read_text())
    assert stopped, said.read_text()
    assert int(stopped[1]) < 25
    told = json.loads(run_persona("why", "luma", "--json", cwd=copy).stdout)
    assert told["train"]["reasons"][-1] == f"goes on from step {stopped[1]} of 30"

    process = subprocess.Popen(
        command, cwd=copy, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    reached = "build/luma/.work/train-*/checkpoint-25/trainer_state.json"
    wait_until(process, lambda: list(copy.glob(reached)))
    process.send_signal(signal.SIGKILL)
    process.wait()

    (scratch,) = copy.glob("build/luma/.work/train-*")
    (whole / scratch.relative_to(copy)).mkdir(parents=True)
    (whole / scratch.relative_to(copy) / "captured.safetensors").write_bytes(b"of a GPU")
    told = json.loads(run_persona("why", "luma", "--json", cwd=copy).stdout)
    assert told["train"]["reasons"][-1] == "goes on from step 25 of 30"
    again = run_persona("build", "luma", cwd=copy)
    anew = run_persona("build", "luma", cwd=whole)

    assert "resuming from step 25" in again.stderr
    assert "was made on a GPU; on a CPU training begins anew" in anew.stderr
    losses = [
        json.loads((place / "build" / "luma" / "adapter" / "training.json").read_text())["losses"]
        for place in (copy, whole)
    ]
    assert len(losses[0]) == 30
    assert losses[1] == pytest.approx(losses[0], abs=1e-5)
