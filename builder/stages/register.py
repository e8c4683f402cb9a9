"""Stage 9, register: put the model into Ollama, verify it there, and only then name it.

It is made under a random name, which is written into a claim first. By the claim that a kill
leaves, the next build removes its temporary models, and knows its own model from anybody else's.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from builder import files, modelfile, ollama, progress, releases
from builder.errors import GateError, ToolError
from builder.gates import parity
from builder.gates.parity import Prompt
from builder.llama import Answer, Model
from builder.manifest import Table
from builder.stage import Job

NAME = "register"
VERSION = 4
HEAVY = True
SCHEMA = 5
CLAIMS = "claims"
# Greedy answers of two builds of llama.cpp part where the lead of a token is small: flash attention alone took one of a
# SmolLM2 persona from 1.1 nats to 0.6, and Ollama 0.34.2's own build past nought.
SURE_MARGIN_NATS = 1.5
COMPARED_QUESTIONS = 4
COMPARED_TOKENS = 48
OTHERS_HINT = "end whatever else writes to this Ollama, then build again"
log = logging.getLogger("builder")


class Receipt(Table):
    """What registration leaves: which model is where, and what was compared there."""

    schema_number: Literal[5] = Field(alias="schema")
    model: str
    digest: str
    url: str
    ollama: str
    blob: str
    num_ctx: int
    let_through: tuple[str, ...]
    """The gates that failed and were let through by hand."""
    compared: tuple[dict[str, Any], ...]


class Claim(Table):
    """What one try makes in one daemon, written down before it is made."""

    model: str
    url: str
    unverified: Annotated[str, Field(pattern=r"^persona-unverified:[0-9a-f]{32}$")]
    """The temporary model that is verified."""
    replaced: Annotated[str, Field(pattern=r"^persona-replaced:[0-9a-f]{32}$")]
    """What had the name before, until the new one has it."""
    digest: str | None = None
    """What the name's digest will be; None until the temporary model is there."""


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
    receipt = _read_receipt(job)
    if receipt is None:
        return _unread_receipt(job)
    try:
        daemon = ollama.connect(allow_remote=job.options.allow_remote)
        digest = daemon.digest(job.persona.model)
    except ToolError as error:
        return error.problems[0]
    if digest is None:
        return f"Ollama no longer has {job.persona.model}"
    return None if digest == receipt.digest else f"{job.persona.model} was changed in Ollama"


def run(job: Job, out: Path) -> str:
    """Upload, create, verify, and only then replace.

    Raises:
        ToolError: The daemon cannot be used, or has a model of that name that is not ours.
        GateError: What the daemon serves is not what was trained.

    """
    daemon = ollama.connect(allow_remote=job.options.allow_remote)
    if releases.is_source_build(daemon.version):
        log.warning("%s: says it is version %s, a build from source; expected %s or newer, and it is taken for that", daemon.url, daemon.version, releases.LOWEST.version)
    receipt, claims = _read_receipt(job), _settle_claims(job, daemon)
    _refuse_foreign(job, daemon, receipt, claims)
    served = modelfile.decide(job)
    let_through = json.loads(job.smoke.read_text()).get("let_through", [])
    sha256 = files.sha256(job.gguf)
    # What decides whether the longest prompt is read whole; two cores read it for four seconds, half of all this stage takes.
    room = {"url": daemon.url, "ollama": daemon.version, "blob": sha256, "num_ctx": served.parameters["num_ctx"]}
    has_read_longest = receipt is not None and room.items() <= receipt.model_dump().items()
    daemon.upload(job.gguf, sha256)
    mark = secrets.token_hex(16)
    claim = Claim(
        model=served.model,
        url=daemon.url,
        unverified=f"persona-unverified:{mark}",
        replaced=f"persona-replaced:{mark}",
    )
    claim_path = _claims_folder(job) / f"{mark}.json"
    files.write_json(claim_path, claim.model_dump())
    try:
        daemon.create({**_body(served, sha256), "model": claim.unverified})
        digest = _digest(daemon, claim.unverified)
        compared = _verify(
            job,
            daemon,
            claim.unverified,
            served,
            has_read_longest=has_read_longest,
        )
        files.write_json(claim_path, claim.model_copy(update={"digest": digest}).model_dump())
        # Somebody may have taken the name since.
        _refuse_foreign(job, daemon, receipt, claims)
        _take_name(daemon, claim, digest)
    finally:
        # Where the daemon went away, the next build does it.
        with contextlib.suppress(ToolError):
            _settle_claims(job, daemon)
    made = Receipt(
        schema=SCHEMA,
        model=served.model,
        digest=digest,
        let_through=let_through,
        compared=compared,
        **room,
    )
    out.write_text(made.model_dump_json(by_alias=True, indent=1) + "\n")
    return f"{served.model} at {daemon.url.split('//')[1]}"


def _take_name(daemon: ollama.Daemon, claim: Claim, digest: str) -> None:
    """Give a verified model its name, by copies alone: what is served is what was verified."""
    if _digest(daemon, claim.unverified) != digest:
        msg = f"served: {claim.model}: was changed while it was verified, expected no change"
        raise GateError(msg, hint=OTHERS_HINT)
    # Only deleting a model frees its files: what had the name gets another, to be deleted by.
    if daemon.digest(claim.model) is not None:
        daemon.copy(claim.model, claim.replaced)
    daemon.copy(claim.unverified, claim.model)
    if _digest(daemon, claim.model) != digest:
        msg = f"served: {claim.model}: is not what was verified, expected the same digest"
        raise GateError(msg, hint=OTHERS_HINT)


def _digest(daemon: ollama.Daemon, model: str) -> str:
    digest = daemon.digest(model)
    if digest is None:
        msg = f"{daemon.url}: has no {model} after creating it, expected it there"
        raise ToolError(msg, hint=OTHERS_HINT)
    return digest


def _read_receipt(job: Job) -> Receipt | None:
    """Read the last receipt; None where there is none, or one of another form."""
    try:
        return Receipt.model_validate(files.read_json(job.receipt))
    except ValidationError:
        return None


def _unread_receipt(job: Job) -> str:
    value = files.read_json(job.receipt)
    schema = value.get("schema") if isinstance(value, dict) else None
    return f"{job.receipt}: says schema {schema}, expected a whole receipt of schema {SCHEMA}"


def _claims_folder(job: Job) -> Path:
    # Beside the working folders, which do not outlive a success: a claim may be for another daemon.
    return job.work.parent / CLAIMS


def _settle_claims(job: Job, daemon: ollama.Daemon) -> list[Claim]:
    """Remove the temporary models of earlier tries from this daemon; restore a name that one lost.

    Returns:
        The claims whose model is the one that is served now.

    """
    holding = []
    for path in sorted(_claims_folder(job).glob("*.json")):
        try:
            claim = Claim.model_validate(files.read_json(path))
        except ValidationError:
            continue
        if not ollama.is_same_daemon(claim.url, daemon.url):
            continue
        if daemon.digest(claim.model) is None and daemon.digest(claim.replaced) is not None:
            daemon.copy(claim.replaced, claim.model)
        for temporary in (claim.unverified, claim.replaced):
            daemon.delete(temporary)
        if claim.digest is not None and daemon.digest(claim.model) == claim.digest:
            holding.append(claim)
        else:
            path.unlink()
    return holding


def _refuse_foreign(
    job: Job,
    daemon: ollama.Daemon,
    receipt: Receipt | None,
    claims: list[Claim],
) -> None:
    """Refuse to take a name under which there is anything but what this build put there."""
    found = daemon.find(job.persona.model)
    owned: list[Receipt | Claim] = [*claims, receipt] if receipt else [*claims]
    if found is None or job.options.replace or any(_is_for(own, daemon, found) for own in owned):
        return
    what = f"{daemon.url}: has a {found.name} that this build did not register"
    why = "" if found.name == job.persona.model else ", which is the same name to Ollama"
    problems = [f"{what}, expected {job.persona.model} to be free{why}"]
    if job.receipt.exists() and receipt is None:
        problems.append(f"{_unread_receipt(job)}; it may have been of that model")
    hint = "type --replace to replace it, or set ollama.model to another name"
    raise ToolError(*problems, hint=hint)


def _is_for(own: Receipt | Claim, daemon: ollama.Daemon, found: ollama.Listed) -> bool:
    """Say whether a receipt or claim is for this very model: the name, the digest, the daemon."""
    is_same_model = ollama.normalize(own.model) == ollama.normalize(found.name)
    is_same_daemon = ollama.is_same_daemon(own.url, daemon.url)
    return is_same_model and own.digest == found.digest and is_same_daemon


def _body(served: modelfile.Served, sha256: str) -> dict[str, Any]:
    fields = {"template": served.template, "system": served.system, "license": served.license}
    return {
        "files": {"model.gguf": f"sha256:{sha256}"},
        "parameters": served.parameters,
        "requires": modelfile.REQUIRES,
        **{key: value for key, value in fields.items() if value is not None},
    }


def _verify(
    job: Job,
    daemon: ollama.Daemon,
    name: str,
    served: modelfile.Served,
    *,
    has_read_longest: bool,
) -> list[dict[str, Any]]:
    _check_shown(daemon, name, served)
    model = Model(job.gguf)
    jinja = (job.dataset / "chat_template.jinja").read_text()
    shapes = parity.shapes(jinja)
    sure = _sure_answers(model, served, json.loads(job.smoke.read_text())["asked"])
    total = len(shapes) + len(sure)
    longest = max(shapes, key=lambda shape: sum(len(str(message.get("content"))) for message in shape.messages))
    compared = []
    for number, shape in enumerate(shapes):
        progress.report("verify", number, total, "prompts")
        compared += _compare_prompts(model, daemon, name, served, shape, is_read=not (has_read_longest and shape is longest))
    for number, (messages, answer) in enumerate(sure, start=len(shapes)):
        progress.report("verify", number, total, "answers")
        compared.append(_compare_answer(daemon, name, messages, answer))
    return compared


def _check_shown(daemon: ollama.Daemon, name: str, served: modelfile.Served) -> None:
    """Compare what the daemon says it keeps with what it was told."""
    shown = daemon.show(name) or {}
    problems = []
    if (served.system or "") != shown.get("system", ""):
        what = f"is shown with the system text {shown.get('system', '')!r}"
        problems.append(f"served: {served.model}: {what}, expected {served.system!r}")
    kept = str(shown.get("parameters", ""))
    for key, value in modelfile.lines(served):
        if not modelfile.is_shown(kept, key, value):
            what = f"keeps no parameter {key} {value}"
            problems.append(f"served: {served.model}: {what}, expected it")
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
        question = messages[-1]["content"]
        msg = f"served: Ollama answers {text!r} to {question!r}, expected {answer.text!r}"
        raise GateError(msg)
    return {"question": messages[-1]["content"], "answer": text, "least_margin_nats": round(min(answer.margins), 2)}
