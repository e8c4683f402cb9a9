"""The register stage: create the model in Ollama, verify it there, and then give it its name."""

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
    """The file, its Modelfile, its examination, and what is sent to the daemon."""

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
    """The path of the last receipt, which may not exist."""


def inputs(build: Build, /) -> Inputs:
    """Declare what is registered; permissions are not compared."""
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
    """llama.cpp runs in a separate process, to compare its answers with the daemon's."""
    return workers.LLAMA


def unavailable(_build: Build, /) -> str | None:
    """Say that there is no Ollama; one that is installed but does not answer is an error later."""
    if os.environ.get("OLLAMA_HOST") or client.find_binary():
        return None
    try:
        is_here = client.ask_version(client.find_url(allow_remote=False)) is not None
    except ToolError:
        is_here = False
    return None if is_here else "no Ollama here"


def check(build: Build, /) -> None:
    """Raise an error before training, if the model could not be registered."""
    registration.check(
        build.persona.model,
        claims=build.claims,
        receipt=build.receipt,
        allow_remote=build.options.allow_remote,
        replace=build.options.replace,
    )


def health(build: Build, /) -> str | None:
    """Ask the daemon whether it still has the model with the digest in the receipt."""
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
        ToolError: The daemon cannot be used, or the name is another model's.
        GateError: The daemon does not serve what was trained.

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
    """Give the context's room beside the system text, in tokens of at least one byte."""
    num_ctx = float(served.parameters.get("num_ctx", math.inf))
    return num_ctx - len((served.system or "").encode())
