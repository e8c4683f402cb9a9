"""Stage 9, register: put the model into Ollama under a temporary name, prove it, then give it its own."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
from pathlib import Path
from typing import Any

from builder import files, modelfile, ollama, progress, releases
from builder.errors import GateError, ToolError
from builder.gates import parity
from builder.gates.parity import Prompt
from builder.llama import Answer, Model
from builder.stage import Job

NAME = "register"
VERSION = 3
HEAVY = True
SCHEMA = 4
TEMPORARY = "-being-proved"
CLAIM = "claimed"
# Greedy answers of two builds of llama.cpp part where the lead of a token is small: flash attention alone took one of a
# SmolLM2 persona from 1.1 nats to 0.6, and Ollama 0.34.2's own build past nought.
SURE_MARGIN_NATS = 1.5
COMPARED_QUESTIONS = 4
COMPARED_TOKENS = 48
log = logging.getLogger("builder")


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
    if releases.is_source_build(daemon.version):
        log.warning("%s: says it is version %s, a build from source; expected %s or newer, and it is taken for that", daemon.url, daemon.version, releases.LOWEST.version)
    _refuse_foreign(job, daemon)
    temporary = _temporary_name(job)
    for name in daemon.names():
        if name == temporary:
            daemon.delete(name)
    served = modelfile.decide(job)
    sha256 = files.sha256(job.gguf)
    # What decides whether the longest prompt is read whole; two cores read it for four seconds, half of all this stage takes.
    room = {"url": daemon.url, "ollama": daemon.version, "blob": sha256, "num_ctx": served.parameters["num_ctx"]}
    has_read_longest = room.items() <= _last_receipt(job).items()
    daemon.upload(job.gguf, sha256)
    body = _body(served, sha256)
    try:
        daemon.create({**body, "model": temporary})
        compared = _prove(job, daemon, temporary, served, has_read_longest=has_read_longest)
        # A kill between here and the receipt leaves a name that no receipt claims: this does.
        (job.work / CLAIM).touch()
        daemon.create({**body, "model": served.model})
        _check_same(daemon, temporary, served.model)
    finally:
        with contextlib.suppress(ToolError):  # a daemon that went away; the next build removes it
            daemon.delete(temporary)
    digest = daemon.digest(served.model)
    if digest is None:
        msg = f"{daemon.url}: has no {served.model} after creating it, expected it there"
        raise ToolError(msg)
    receipt = {"schema": SCHEMA, "model": served.model, "digest": digest, **room, "compared": compared}
    out.write_text(json.dumps(receipt, indent=1, ensure_ascii=False) + "\n")
    return f"{served.model} at {daemon.url.split('//')[1]}"


def _last_receipt(job: Job) -> dict[str, Any]:
    receipt = files.read_json(job.receipt)
    return receipt if isinstance(receipt, dict) else {}


def _temporary_name(job: Job) -> str:
    return f"{job.persona.model.split(':')[0][: 80 - len(TEMPORARY)]}{TEMPORARY}:latest"


def _refuse_foreign(job: Job, daemon: ollama.Daemon) -> None:
    digest, ours = daemon.digest(job.persona.model), _last_receipt(job).get("digest")
    is_claimed = any(job.work.parent.glob(f"{NAME}-*/{CLAIM}"))
    if digest and digest != ours and not is_claimed and not job.options.replace:
        msg = f"{daemon.url}: has a {job.persona.model} that this build did not register, expected that name to be free"
        raise ToolError(msg, hint="type --replace to replace it, or set ollama.model to another name")


def _body(served: modelfile.Served, sha256: str) -> dict[str, Any]:
    fields = {"template": served.template, "system": served.system, "license": served.license}
    return {
        "files": {"model.gguf": f"sha256:{sha256}"},
        "parameters": served.parameters,
        "requires": modelfile.REQUIRES,
        **{key: value for key, value in fields.items() if value is not None},
    }


def _prove(job: Job, daemon: ollama.Daemon, name: str, served: modelfile.Served, *, has_read_longest: bool) -> list[dict[str, Any]]:
    _check_shown(daemon, name, served)
    model = Model(job.gguf)
    jinja = (job.dataset / "chat_template.jinja").read_text()
    shapes = parity.shapes(jinja)
    sure = _sure_answers(model, served, json.loads(job.smoke.read_text())["asked"])
    total = len(shapes) + len(sure)
    longest = max(shapes, key=lambda shape: sum(len(str(message.get("content"))) for message in shape.messages))
    compared = []
    for number, shape in enumerate(shapes):
        progress.report("prove", number, total, "prompts")
        compared += _compare_prompts(model, daemon, name, served, shape, is_read=not (has_read_longest and shape is longest))
    for number, (messages, answer) in enumerate(sure, start=len(shapes)):
        progress.report("prove", number, total, "answers")
        compared.append(_compare_answer(daemon, name, messages, answer))
    return compared


def _check_same(daemon: ollama.Daemon, proved: str, name: str) -> None:
    """See that the name serves the blob that was proved, and no older one."""
    one, other = (re.search(r"^FROM (.+)$", str((daemon.show(model) or {}).get("modelfile")), re.MULTILINE) for model in (proved, name))
    if not one or not other or one[1] != other[1]:
        daemon.delete(name)
        msg = f"served: {name}: is served from another file than {proved}, which was proved; expected the same, and is deleted"
        raise GateError(msg, hint="end whatever else writes to this Ollama, then build again")


def _check_shown(daemon: ollama.Daemon, name: str, served: modelfile.Served) -> None:
    """Hold what the daemon says it keeps against what it was told."""
    shown = daemon.show(name) or {}
    problems = []
    if (served.system or "") != shown.get("system", ""):
        problems.append(f"served: {name}: is shown with the system text {shown.get('system', '')!r}, expected {served.system!r}")
    kept = str(shown.get("parameters", ""))
    problems += [f"served: {name}: keeps no parameter {key} {value}, expected it" for key, value in modelfile.lines(served) if not modelfile.is_shown(kept, key, value)]
    if problems:
        raise GateError(*problems)


def _with_system(served: modelfile.Served, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return messages if not served.system or messages[0]["role"] == "system" else [{"role": "system", "content": served.system}, *messages]


def _compare_prompts(model: Model, daemon: ollama.Daemon, name: str, served: modelfile.Served, shape: parity.Shape, *, is_read: bool = True) -> list[dict[str, Any]]:
    def prompt(where: str, text: str) -> Prompt:
        return Prompt(where, text, model.tokenize(text))

    full = _with_system(served, shape.messages)
    trained = prompt("trained", model.render(full, shape.tools))
    merged = prompt("trained, merged", model.render(parity.merge_neighbours(full), shape.tools))
    routes = ["/api/chat", "/v1/chat/completions"] + (["/api/generate"] if len(shape.messages) == 1 and not shape.tools else [])
    rows = []
    for route in routes:
        theirs = prompt(f"Ollama's {route}", daemon.rendered_prompt(name, shape.messages, shape.tools, route))
        rows.append({"shape": shape.name, **parity.compare(shape, trained, theirs, model.decode, merged)})
    if not is_read:
        return rows
    counted = daemon.chat(name, shape.messages, 1, shape.tools).get("prompt_eval_count")
    if counted != rows[0]["tokens"]:
        msg = f"parity: {shape.name!r}: Ollama read {counted} tokens of a prompt of {rows[0]['tokens']}, expected every one"
        raise GateError(msg, hint="the usual cause is a second BOS, or num_ctx too small")
    return rows


def _sure_answers(model: Model, served: modelfile.Served, asked: list[dict[str, Any]]) -> list[tuple[list[dict[str, str]], Answer]]:
    """Give the questions that the file answers most surely, where another build of llama.cpp must answer the same."""
    greedy = {one["messages"][-1]["content"]: one for one in asked if one["seed"] is None and one["least_margin_nats"] is not None}
    surest = sorted(greedy.values(), key=lambda one: -one["least_margin_nats"])[:COMPARED_QUESTIONS]
    answers = [(one["messages"], model.continue_prompt(model.tokenize(model.render(_with_system(served, one["messages"]))), COMPARED_TOKENS)) for one in surest]
    return [(messages, answer) for messages, answer in answers if min(answer.margins) > SURE_MARGIN_NATS]


def _compare_answer(daemon: ollama.Daemon, name: str, messages: list[dict[str, str]], answer: Answer) -> dict[str, Any]:
    text = str(daemon.chat(name, messages, COMPARED_TOKENS)["message"]["content"])
    if text.strip() != answer.text.strip():
        msg = f"served: {name}: Ollama answers {text!r} to {messages[-1]['content']!r}, expected {answer.text!r}"
        raise GateError(msg)
    return {"question": messages[-1]["content"], "answer": text, "least_margin_nats": round(min(answer.margins), 2)}
