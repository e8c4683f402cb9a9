"""The register stage: put the model into Ollama, verify it there, and only then name it.

It is made under a random name, which is written into a claim first. By the claim that a kill
leaves, the next build removes its temporary models, and knows its own model from anybody else's.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from builder import files
from builder.engine.stage import Job
from builder.errors import GateError, ToolError
from builder.evaluation import report
from builder.ollama import address, client, modelfile, releases, verification
from builder.tables import Table

NAME = "register"
VERSION = 4
HEAVY = True
SCHEMA = 5
CLAIMS = "claims"
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
    if os.environ.get("OLLAMA_HOST") or client.find_binary():
        return None
    try:
        client.connect(allow_remote=False)
    except ToolError:
        return "no Ollama here"
    return None


def check(job: Job) -> None:
    """Tell before anything is trained what would keep the model from its name; a daemon that does not answer is told at the end.

    Raises:
        ToolError: OLLAMA_HOST is no address or another machine's, or the name is somebody else's.

    """
    if unavailable(job):
        return
    client.find_url(allow_remote=job.options.allow_remote)
    # What an earlier try left is settled under the lock, when the stage runs.
    if any((job.build / ".work" / CLAIMS).glob("*.json")):
        return
    try:
        daemon = client.connect(allow_remote=job.options.allow_remote)
    except ToolError:
        return
    _refuse_foreign(job, daemon, _read_receipt(job), [])


def health(job: Job) -> str | None:
    """Ask the daemon whether it still has the model, with the digest of the receipt."""
    receipt = _read_receipt(job)
    if receipt is None:
        return _unread_receipt(job)
    try:
        daemon = client.connect(allow_remote=job.options.allow_remote)
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
    daemon = client.connect(allow_remote=job.options.allow_remote)
    if releases.is_source_build(daemon.version):
        log.warning(
            "%s: says it is version %s, a build from source; expected %s or newer, and it is taken for that",
            daemon.url,
            daemon.version,
            releases.LOWEST.version,
        )
    receipt, claims = _read_receipt(job), _settle_claims(job, daemon)
    _refuse_foreign(job, daemon, receipt, claims)
    served = modelfile.decide(job)
    let_through = report.read(job.smoke).failed
    sha256 = files.sha256(job.gguf)
    # What decides whether the longest prompt is read whole; two cores read it for four seconds, half of all this stage takes.
    room = {
        "url": daemon.url,
        "ollama": daemon.version,
        "blob": sha256,
        "num_ctx": served.parameters["num_ctx"],
    }
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
        daemon.create({**verification.body(served, sha256), "model": claim.unverified})
        digest = _digest(daemon, claim.unverified)
        compared = verification.verify(
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


def _take_name(daemon: client.Daemon, claim: Claim, digest: str) -> None:
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


def _digest(daemon: client.Daemon, model: str) -> str:
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


def _settle_claims(job: Job, daemon: client.Daemon) -> list[Claim]:
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
        if not address.is_same_daemon(claim.url, daemon.url):
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
    daemon: client.Daemon,
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


def _is_for(own: Receipt | Claim, daemon: client.Daemon, found: client.Listed) -> bool:
    """Say whether a receipt or claim is for this very model: the name, the digest, the daemon."""
    is_same_model = client.normalize(own.model) == client.normalize(found.name)
    is_same_daemon = address.is_same_daemon(own.url, daemon.url)
    return is_same_model and own.digest == found.digest and is_same_daemon
