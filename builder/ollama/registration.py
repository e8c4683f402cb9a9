"""Registers a model with Ollama: it is verified under a random name before it gets its own.

The random name is first written into a claim (`builder.ollama.claims`).
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from builder import files, progress
from builder.errors import GateError, ToolError
from builder.ollama import address, client, registered, releases, verification
from builder.ollama.claims import Claim, settle, write_claim
from builder.ollama.client import Daemon, Listed
from builder.ollama.registered import Receipt
from builder.ollama.served import Served

if TYPE_CHECKING:
    from builder.evaluation.report import GateAnswer
    from builder.gates.shapes import Shape

OTHERS_HINT = "end whatever else writes to this Ollama, then build again"
log = logging.getLogger("builder")


@dataclass(frozen=True, kw_only=True)
class Registration:
    """A file to register, and the records of earlier registrations."""

    served: Served
    gguf: Path
    chat_template: str
    """The trained chat template."""
    own: Sequence[Shape]
    """Shapes of the persona's own rows with tools."""
    asked: Sequence[GateAnswer]
    """The questions that the file was asked, with its answers."""
    let_through: tuple[str, ...]
    """The gates that failed and were waived with --anyway."""
    claims: Path
    """The folder of the claims."""
    receipt: Path
    """The path of the last receipt, which may not exist."""
    replace: bool
    """Whether to replace a model of that name that this build did not register."""


def find_difference(daemon: Daemon, model: str, receipt: Path) -> str | None:
    """Say how a registered model has changed; None if it has not."""
    last = registered.read(receipt)
    if last is None:
        return registered.explain_unread(receipt)
    digest = daemon.digest(model)
    if digest is None:
        return f"Ollama no longer has {model}"
    return None if digest == last.digest else f"{model} was changed in Ollama"


def check(model: str, *, claims: Path, receipt: Path, allow_remote: bool, replace: bool) -> None:
    """Raise an error before training, if a model could not be registered.

    If the daemon does not answer, it only warns.

    Raises:
        ToolError: OLLAMA_HOST is no address or another machine's, what listens there is not Ollama
            or is too old, or the name is another model's.

    """
    url = client.find_url(allow_remote=allow_remote)
    if client.ask_version(url) is None:
        log.warning(
            "Ollama at %s does not answer: the model will be built and then registered "
            "if it answers by then; start it with `ollama serve`",
            url,
        )
        return
    daemon = client.connect(allow_remote=allow_remote)
    # Claims of earlier builds are settled when the model is registered, under the lock.
    if not any(claims.glob("*.json")):
        refuse_foreign(daemon, model, receipt=receipt, claims=[], replace=replace)


def register(daemon: Daemon, wanted: Registration) -> Receipt:
    """Upload the file, create the model, verify it, and then give it its name.

    Raises:
        ToolError: The daemon failed, or the name is another model's.
        GateError: The daemon does not serve what was trained.

    """
    if releases.is_source_build(daemon.version):
        message = "%s: says it is version %s, a build from source; it is taken for %s or newer"
        log.warning(message, daemon.url, daemon.version, releases.LOWEST.version)
    served, claims = wanted.served, settle(daemon, wanted.claims)
    refuse = functools.partial(
        refuse_foreign,
        daemon,
        served.model,
        receipt=wanted.receipt,
        claims=claims,
        replace=wanted.replace,
    )
    refuse()
    progress.report("reads the file")
    sha256 = files.sha256(wanted.gguf)
    # If these are unchanged, the daemon need not read the longest prompt again, which takes four
    # seconds on two cores, half of the whole registration.
    context = {
        "url": daemon.url,
        "ollama": daemon.version,
        "blob": sha256,
        "num_ctx": served.parameters["num_ctx"],
    }
    last = registered.read(wanted.receipt)
    daemon.upload(wanted.gguf, sha256)
    claim, path = write_claim(daemon, served.model, wanted.claims)
    try:
        progress.report("makes the model in Ollama")
        daemon.create({**served.to_request(sha256), "model": claim.unverified})
        digest = _digest(daemon, claim.unverified)
        compared = verification.verify(
            daemon,
            claim.unverified,
            served,
            gguf=wanted.gguf,
            chat_template=wanted.chat_template,
            own=wanted.own,
            asked=wanted.asked,
            has_read_longest=last is not None and context.items() <= last.model_dump().items(),
        )
        files.write_json(path, claim.model_copy(update={"digest": digest}).model_dump())
        with _alone_at(daemon):
            # The name may have been taken meanwhile.
            _take_name(daemon, claim, digest, refuse())
    finally:
        # If the daemon does not answer, the next build does it.
        with contextlib.suppress(ToolError):
            settle(daemon, wanted.claims)
    return Receipt(
        model=served.model,
        digest=digest,
        let_through=wanted.let_through,
        compared=tuple(compared),
        **context,
    )


@contextlib.contextmanager
def _alone_at(daemon: Daemon) -> Iterator[None]:
    """Let one build of this machine at a time give names in a daemon."""
    mark = hashlib.sha256(daemon.url.encode()).hexdigest()[:16]
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            stack.enter_context(files.waiting_for(files.cache_folder() / "daemons" / mark))
        yield


def _take_name(daemon: Daemon, claim: Claim, digest: str, before: Listed | None) -> None:
    """Give a verified model its name by copying, so that the verified model is served.

    Args:
        daemon: The daemon.
        claim: The names.
        digest: The digest of the verified model.
        before: The model that has the name and may be replaced.

    """
    if _digest(daemon, claim.unverified) != digest:
        msg = f"served: {claim.model}: was changed while it was verified, expected no change"
        raise GateError(msg, hint=OTHERS_HINT)
    # The previous model gets another name, by which it is deleted: this frees its files.
    found = daemon.find(claim.model)
    if found != before:
        msg = f"{daemon.url}: {claim.model} was changed meanwhile, expected no change"
        raise ToolError(msg, hint=OTHERS_HINT)
    if found is not None:
        daemon.copy(claim.model, claim.replaced)
        if daemon.digest(claim.replaced) != found.digest:
            msg = f"{daemon.url}: has no copy of {claim.model} after copying it, expected one"
            raise ToolError(msg, hint=OTHERS_HINT)
    daemon.copy(claim.unverified, claim.model)
    if _digest(daemon, claim.model) != digest:
        msg = f"served: {claim.model}: is not what was verified, expected the same digest"
        raise GateError(msg, hint=OTHERS_HINT)


def _digest(daemon: Daemon, model: str) -> str:
    digest = daemon.digest(model)
    if digest is None:
        msg = f"{daemon.url}: has no {model} after creating it, expected it there"
        raise ToolError(msg, hint=OTHERS_HINT)
    return digest


def refuse_foreign(
    daemon: Daemon, model: str, *, receipt: Path, claims: list[Claim], replace: bool
) -> Listed | None:
    """Refuse to replace a model that this build did not register.

    Returns:
        The model that has the name and may be replaced.

    Raises:
        ToolError: The name is another model's.

    """
    found, last = daemon.find(model), registered.read(receipt)
    owned: list[Receipt | Claim] = [*claims, *([last] if last else [])]
    if found is None or replace or any(_is_for(own, daemon, found) for own in owned):
        return found
    what = f"{daemon.url}: has a {found.name} that this build did not register"
    why = "" if found.name == model else ", which is the same name to Ollama"
    problems = [f"{what}, expected {model} to be free{why}"]
    if receipt.exists() and last is None:
        problems.append(f"{registered.explain_unread(receipt)}; it may have been of that model")
    hint = "build with --replace to replace it, or set ollama.model to another name"
    raise ToolError(*problems, hint=hint)


def _is_for(own: Receipt | Claim, daemon: Daemon, found: Listed) -> bool:
    """Say whether a receipt or claim is of this model: the same name, digest and daemon."""
    is_same_model = client.normalize(own.model) == client.normalize(found.name)
    is_same_daemon = address.is_same_daemon(own.url, daemon.url)
    return is_same_model and own.digest == found.digest and is_same_daemon
