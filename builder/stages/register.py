"""The register stage: put the model into Ollama, verify it there, and only then name it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from builder.data import dataset
from builder.engine.stage import Job
from builder.errors import ToolError
from builder.ollama import client, registration, served

NAME = "register"
VERSION = 4
HEAVY = True
# Beside the working folders, which a success removes: a claim may be for another daemon.
CLAIMS = "claims"


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
    """Say that no Ollama is installed here; an installed one that is silent is an error, later."""
    if os.environ.get("OLLAMA_HOST") or client.find_binary():
        return None
    try:
        is_here = client.ask_version(client.find_url(allow_remote=False)) is not None
    except ToolError:
        is_here = False
    return None if is_here else "no Ollama here"


def check(job: Job) -> None:
    """Tell before anything is trained what would keep the model from its name.

    Raises:
        ToolError: OLLAMA_HOST is no address or another machine's, what listens there is no Ollama
            or too old, or the name is somebody else's.

    """
    if not unavailable(job):
        registration.check(
            job.persona.model,
            claims=job.build / ".work" / CLAIMS,
            receipt=job.receipt,
            allow_remote=job.options.allow_remote,
            replace=job.options.replace,
        )


def health(job: Job) -> str | None:
    """Ask the daemon whether it still has the model, with the digest of the receipt."""
    if registration.read_receipt(job.receipt) is None:
        return registration.explain_unread(job.receipt)
    try:
        daemon = client.connect(allow_remote=job.options.allow_remote)
        return registration.find_difference(daemon, job.persona.model, job.receipt)
    except ToolError as error:
        return error.problems[0]


def run(job: Job, out: Path) -> str:
    """Register, and write the receipt.

    Raises:
        ToolError: The daemon cannot be used, or has a model of that name that is not ours.
        GateError: What the daemon serves is not what was trained.

    """
    daemon = client.connect(allow_remote=job.options.allow_remote)
    manifest, smoke = job.persona.manifest, json.loads(job.smoke.read_text())
    wanted = registration.Registration(
        served=served.read(
            job.base,
            job.dataset,
            model=job.persona.model,
            ollama=manifest.ollama,
            kind=manifest.data.template,
        ),
        gguf=job.gguf,
        chat_template=(job.dataset / dataset.TEMPLATE).read_text("utf-8"),
        asked=smoke["asked"],
        let_through=tuple(smoke.get("let_through", [])),
        claims=job.work.parent / CLAIMS,
        receipt=job.receipt,
        replace=job.options.replace,
    )
    receipt = registration.register(daemon, wanted)
    receipt.write(out)
    return f"{receipt.model} at {daemon.url.split('//')[1]}"
