"""Stage 7, register: put the model into Ollama under a temporary name, prove it, then give it its own."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from builder import modelfile, ollama, progress
from builder.errors import GateError, ToolError
from builder.llama import Model
from builder.stage import Job

NAME = "register"
VERSION = 1
HEAVY = True
SCHEMA = 1
TEMPORARY = "-being-proved"
# Greedy answers of two builds of llama.cpp part where the lead of a token is small (design.md 4: half a nat).
SURE_MARGIN_NATS = 0.5
COMPARED_QUESTIONS = 4
COMPARED_TOKENS = 48


def inputs(job: Job) -> list[Path]:
    """The file, its record, and the proof that it was asked."""
    return [job.gguf, job.modelfile, job.smoke]


def settings(job: Job) -> dict[str, Any]:
    """The name in Ollama."""
    return {"ollama.model": job.persona.model}


def output(job: Job) -> Path:
    """`registered.json`, the receipt."""
    return job.receipt


def unavailable(_job: Job) -> str | None:
    """Say that no Ollama is installed here; one that is but does not answer is an error, later."""
    if os.environ.get("OLLAMA_HOST") or ollama.find_binary():
        return None
    try:
        ollama.connect(allow_remote=False)
    except ToolError:
        return "no Ollama here"
    return None


def health(job: Job) -> str | None:
    """Ask the daemon whether it still has the model, with the digest of the receipt."""
    try:
        receipt = json.loads(job.receipt.read_text())
        daemon = ollama.connect(allow_remote=job.options.allow_remote)
        digest = daemon.digest(job.persona.model)
    except (OSError, ValueError, ToolError):
        return f"{ollama.host()} does not answer"
    if digest is None:
        return f"Ollama no longer has {job.persona.model}"
    return None if digest == receipt.get("digest") else f"{job.persona.model} was changed in Ollama"


def run(job: Job, out: Path) -> str:
    """Upload, create, prove, and only then replace.

    Raises:
        ToolError: The daemon cannot be used, or has a model of that name that is not ours.
        GateError: What the daemon serves is not what was trained.

    """
    daemon = ollama.connect(allow_remote=job.options.allow_remote)
    _refuse_foreign(job, daemon)
    temporary = _temporary_name(job)
    for name in daemon.names():
        if name == temporary:
            daemon.delete(name)
    served = modelfile.decide(job)
    sha256 = _sha256(job.gguf)
    daemon.upload(job.gguf, sha256)
    body = _body(served, sha256)
    try:
        daemon.create({**body, "model": temporary})
        compared = _prove(job, daemon, temporary, served)
        daemon.create({**body, "model": served.model})
    finally:
        with contextlib.suppress(ToolError):  # a daemon that went away; the next build removes it
            daemon.delete(temporary)
    digest = daemon.digest(served.model)
    if digest is None:
        msg = f"{daemon.url}: has no {served.model} after creating it, expected it there"
        raise ToolError(msg)
    receipt = {"schema": SCHEMA, "model": served.model, "digest": digest, "blob": sha256, "ollama": daemon.version, "compared": compared}
    out.write_text(json.dumps(receipt, indent=1, ensure_ascii=False) + "\n")
    return f"{served.model} at {daemon.url.split('//')[1]}"


def _temporary_name(job: Job) -> str:
    return f"{job.persona.model.split(':')[0][: 80 - len(TEMPORARY)]}{TEMPORARY}:latest"


def _refuse_foreign(job: Job, daemon: ollama.Daemon) -> None:
    digest = daemon.digest(job.persona.model)
    try:
        ours = json.loads(job.receipt.read_text()).get("digest")
    except (OSError, ValueError):
        ours = None
    if digest and digest != ours and not job.options.replace:
        msg = f"{daemon.url}: has a {job.persona.model} that this build did not register, expected that name to be free"
        raise ToolError(msg, hint="type --replace to replace it, or set ollama.model to another name")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _body(served: modelfile.Served, sha256: str) -> dict[str, Any]:
    fields = {"template": served.template, "system": served.system, "license": served.license}
    return {
        "files": {"model.gguf": f"sha256:{sha256}"},
        "parameters": served.parameters,
        "requires": modelfile.REQUIRES,
        **{key: value for key, value in fields.items() if value is not None},
    }


def _prove(job: Job, daemon: ollama.Daemon, name: str, served: modelfile.Served) -> list[dict[str, Any]]:
    shown = daemon.show(name)
    if shown is None or (served.system or "") != shown.get("system", ""):
        msg = f"{name}: is shown with the system text {(shown or {}).get('system', '')!r}, expected {served.system!r}"
        raise GateError(msg)
    model = Model(job.gguf)
    questions = [result["messages"] for result in json.loads(job.smoke.read_text())["results"]][:COMPARED_QUESTIONS]
    compared = []
    for number, messages in enumerate(questions):
        progress.report("prove", number, len(questions), "questions")
        compared.append(_compare(model, daemon, name, served, messages))
    return compared


def _compare(model: Model, daemon: ollama.Daemon, name: str, served: modelfile.Served, messages: list[dict[str, str]]) -> dict[str, Any]:
    system = [{"role": "system", "content": served.system}] if served.system and messages[0]["role"] != "system" else []
    ours = model.render([*system, *messages])
    theirs = daemon.rendered_prompt(name, messages)
    ids, their_ids = model.tokenize(ours), model.tokenize(theirs)
    if ids != their_ids:
        at = next((i for i, pair in enumerate(zip(ids, their_ids, strict=False)) if pair[0] != pair[1]), min(len(ids), len(their_ids)))
        msg = f"{name}: Ollama renders {theirs!r}, expected {ours!r}; they part at token {at}"
        raise GateError(msg, hint="the served TEMPLATE is not the trained one: see data.template")
    answer = model.continue_prompt(ids, COMPARED_TOKENS)
    said = daemon.chat(name, messages, COMPARED_TOKENS)
    text = said["message"]["content"]
    sure = min(answer.margins) > SURE_MARGIN_NATS
    if sure and text.strip() != answer.text.strip():
        msg = f"{name}: Ollama answers {text!r} to {messages[-1]['content']!r}, expected {answer.text!r}"
        raise GateError(msg)
    return {
        "question": messages[-1]["content"],
        "prompt_tokens": len(ids),
        "their_prompt_tokens": said.get("prompt_eval_count"),
        "sure": sure,
        "same_answer": text.strip() == answer.text.strip(),
    }
