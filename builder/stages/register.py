"""The register stage: put the model into Ollama, verify it there, and only then name it."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path

from builder import workers
from builder.data import dataset
from builder.engine import stage
from builder.engine.inputs import File, not_compared, shown_as
from builder.engine.stage import Work
from builder.errors import ToolError
from builder.evaluation import report
from builder.gates import shapes
from builder.ollama import client, registered, registration
from builder.ollama.served import Served
from builder.project import Build

NAME, VERSION = "register", 5
WORDS = "puts the model into Ollama"
note = stage.nothing_to_note
checkpoint = stage.never_resumed


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """The file, its record, what it was asked, and what the daemon is told."""

    gguf: File
    modelfile: File
    smoke: File
    chat_template: File
    rows: File
    served: Served = shown_as("ollama")
    allow_remote: bool = not_compared()
    replace: bool = not_compared()
    claims: Path = not_compared()
    receipt: Path = not_compared()
    """The last receipt, whether there is one or not."""


def inputs(build: Build, /) -> Inputs:
    """Declare what is registered; permissions are no inputs."""
    return Inputs(
        gguf=File(build.gguf),
        modelfile=File(build.modelfile),
        smoke=File(build.smoke),
        chat_template=File(build.dataset / dataset.TEMPLATE),
        rows=File(build.dataset / dataset.TRAIN),
        served=build.decide_served(),
        allow_remote=build.options.allow_remote,
        replace=build.options.replace,
        claims=build.claims,
        receipt=build.receipt,
    )


def output(build: Build, /) -> Path:
    """`registered.json`, the receipt."""
    return build.receipt


def worker(_build: Build, /) -> str:
    """llama.cpp answers beside the daemon, in a process of its own."""
    return workers.LLAMA


def unavailable(_build: Build, /) -> str | None:
    """Say that no Ollama is installed here; an installed one that is silent is an error, later."""
    if os.environ.get("OLLAMA_HOST") or client.find_binary():
        return None
    try:
        is_here = client.ask_version(client.find_url(allow_remote=False)) is not None
    except ToolError:
        is_here = False
    return None if is_here else "no Ollama here"


def check(build: Build, /) -> None:
    """Tell before anything is trained what would keep the model from its name."""
    registration.check(
        build.persona.model,
        claims=build.claims,
        receipt=build.receipt,
        allow_remote=build.options.allow_remote,
        replace=build.options.replace,
    )


def health(build: Build, /) -> str | None:
    """Ask the daemon whether it still has the model, with the digest of the receipt."""
    if registered.read(build.receipt) is None:
        return registered.explain_unread(build.receipt)
    try:
        daemon = client.connect(allow_remote=build.options.allow_remote)
        return registration.find_difference(daemon, build.persona.model, build.receipt)
    except ToolError as error:
        return error.problems[0]


def run(inputs: Inputs, work: Work, /) -> str:
    """Register, and write the receipt.

    Raises:
        ToolError: The daemon cannot be used, or has a model of that name that is not ours.
        GateError: What the daemon serves is not what was trained.

    """
    daemon = client.connect(allow_remote=inputs.allow_remote)
    examined, rows = report.read(inputs.smoke.path), dataset.read_examples(inputs.rows.path)
    receipt = registration.register(
        daemon,
        registration.Registration(
            served=inputs.served,
            gguf=inputs.gguf.path,
            chat_template=inputs.chat_template.path.read_text("utf-8"),
            own=tuple(shapes.make_own(rows, _count_room_tokens(inputs.served))),
            asked=examined.asked,
            let_through=tuple(examined.failed),
            claims=inputs.claims,
            receipt=inputs.receipt,
            replace=inputs.replace,
        ),
    )
    receipt.write(work.out)
    return f"{receipt.model} at {daemon.url.split('//')[1]}"


def _count_room_tokens(served: Served) -> float:
    """Count the tokens that the served context has beside the system text; each has a byte."""
    num_ctx = float(served.parameters.get("num_ctx", math.inf))
    return num_ctx - len((served.system or "").encode())
