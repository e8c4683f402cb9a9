"""The command `push`, which publishes a build on the Hugging Face hub or with Ollama."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any, Literal

import click

from builder.commands import arguments
from builder.engine.lock import locked
from builder.terminal.console import Console

# Names of repositories in huggingface_hub 1.33 (utils/_validators.py), and of models in Ollama
# 0.34.2 (types/model/name.go), for which the namespace is required here.
REPOSITORY = re.compile(r"[A-Za-z0-9_][\w.-]{0,95}/[A-Za-z0-9_][\w.-]{0,95}", re.ASCII)
MODEL = re.compile(
    r"(?:[\w.-]+(?::\d+)?/)?\w[\w-]{0,79}/\w[\w.-]{0,79}(?::\w[\w.-]{0,79})?", re.ASCII
)


@dataclass(frozen=True)
class Destination:
    """The destination of a push."""

    kind: Literal["hf", "ollama"]
    name: str


def _read_destination(_context: click.Context, _parameter: click.Parameter, typed: str) -> Any:
    kind, _, name = typed.partition(":")
    if kind == "hf" and REPOSITORY.fullmatch(name):
        return Destination("hf", name)
    if kind == "ollama" and MODEL.fullmatch(name):
        return Destination("ollama", name)
    msg = f"is {typed!r:.80}, expected hf:OWNER/REPO or ollama:NAMESPACE/NAME"
    raise click.BadParameter(msg)


@click.command()
@arguments.name
@click.option(
    "--to",
    "destination",
    metavar="hf:OWNER/REPO|ollama:NAMESPACE/NAME",
    required=True,
    callback=_read_destination,
    help="Where to: it says which, since OWNER/REPO alone could be either.",
)
@click.option("--public", is_flag=True, help="Make a new repository on the hub for all to see.")
@click.option("--replace", is_flag=True, help="Replace files there that no push from here put.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--allow-remote", is_flag=True, help="Push from a daemon on another machine.")
@click.option("--json", "as_json", is_flag=True, help="Print what was pushed as one JSON object.")
@click.pass_obj
def push(
    console: Console,
    /,
    name: str,
    *,
    destination: Destination,
    allow_remote: bool,
    **typed: Any,
) -> int:
    """Publish a finished build on Hugging Face or with Ollama.

    What will be published, and where, is listed first. On the hub are then the GGUF, the Modelfile,
    the model card, and what Ollama reads there; a new repository is private. What is pushed with
    Ollama is public.
    """
    build = arguments.read_build(name, allow_remote=allow_remote)
    arguments.check_built(build, build.gguf)
    from builder.publication import pushing  # noqa: PLC0415 — imports numpy

    wishes = pushing.Wishes(
        is_public=typed["public"],
        is_replacing=typed["replace"],
        confirm=(lambda _: True) if typed["yes"] else arguments.confirm,
    )
    push_there = pushing.push_to_hub if destination.kind == "hf" else pushing.push_with_ollama
    with locked(build.folder):
        pushed = push_there(build, destination.name, console, wishes)
    if pushed is None:
        console.notes(["nothing was published"])
        return arguments.MENDABLE
    if typed["as_json"]:
        console.print_json(asdict(pushed))
    else:
        console.result(pushed.to)
    return arguments.DONE
