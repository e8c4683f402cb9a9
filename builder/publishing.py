"""The command that gives a build to others: push, to the Hugging Face hub or with Ollama."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import click

from builder import arguments
from builder.bases import fetch, hub
from builder.console import Console
from builder.engine.lock import locked
from builder.errors import ToolError
from builder.evaluation.report import Report
from builder.ollama import client, registration
from builder.project import Build
from builder.publication import bundle, licensing, readiness, receipts, registry, repository
from builder.publication.licensing import Terms
from builder.publication.repository import Plan
from builder.targets import STAGES

# What huggingface_hub 1.33 takes for the name of a repository (utils/_validators.py), and Ollama
# 0.34.2 for a model's (types/model/name.go), where a part may be left out here but the namespace.
REPOSITORY = re.compile(r"[A-Za-z0-9_][\w.-]{0,95}/[A-Za-z0-9_][\w.-]{0,95}", re.ASCII)
MODEL = re.compile(
    r"(?:[\w.-]+(?::\d+)?/)?\w[\w-]{0,79}/\w[\w.-]{0,79}(?::\w[\w.-]{0,79})?", re.ASCII
)


# The stages up to the gates.
EXAMINED = STAGES[:-1]


@dataclass(frozen=True)
class Destination:
    """Where a build is pushed to."""

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


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What a person typed beside the name and the destination."""

    public: bool
    replace: bool
    yes: bool
    as_json: bool


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
    """Give a finished build to others: to the Hugging Face hub, or with Ollama.

    What will be published, and where, is listed first. On the hub are then the GGUF, the Modelfile,
    the model card, and what Ollama reads there; a new repository is private. What is pushed with
    Ollama is public.
    """
    build = arguments.read_build(name, allow_remote=allow_remote)
    arguments.check_built(build, build.gguf)
    push_there = _push_to_hub if destination.kind == "hf" else _push_with_ollama
    with locked(build.folder):
        pushed = push_there(build, destination.name, console, Wishes(**typed))
    if pushed is None:
        console.notes(["nothing was published"])
        return arguments.MENDABLE
    console.result(json.dumps(pushed, ensure_ascii=False) if typed["as_json"] else pushed["to"])
    return arguments.DONE


def _push_to_hub(
    build: Build, name: str, console: Console, wishes: Wishes
) -> dict[str, Any] | None:
    """Push to the hub; None where the person says no."""
    found = readiness.check(build, EXAMINED)
    terms = licensing.decide(build)
    licensing.check(terms, name.partition("/")[2])
    repository.check_settings()
    address = f"{hub.read_settings().endpoint}/{name}"
    items = bundle.make(build, name, terms, _find_licences(build, terms))
    pushed = receipts.read(build.pushed).repositories.get(address, {})
    plan = repository.plan(
        repository.ask(name, is_public=wishes.public),
        items,
        pushed,
        is_replacing=wishes.replace,
    )
    console.notes(_list_plan(plan, terms, address))
    console.notes(_tell_failed(found))
    digests = {item.path: plan.remote.digests.get(item.path, "") for item in items}
    if plan.is_empty:
        console.notes(["nothing is sent: all of it is there"])
    elif wishes.yes or arguments.confirm("Publish this?"):
        began_s = time.monotonic()
        console.line("push", address, style="yellow")
        digests = repository.push(plan, shows_bars=console.can_draw)
        console.done("push", time.monotonic() - began_s, address)
    else:
        return None
    receipts.note(build.pushed, address, digests)
    return {"to": address, "is_private": plan.remote.is_private, "files": digests}


def _push_with_ollama(
    build: Build, name: str, console: Console, wishes: Wishes
) -> dict[str, Any] | None:
    """Push with Ollama; None where the person says no."""
    found = readiness.check(build, STAGES)
    terms = licensing.decide(build)
    licensing.check(terms, name.rpartition("/")[2].partition(":")[0])
    licensing.check_carried(terms)
    receipt = registration.read_receipt(build.receipt)
    if receipt is None:
        raise ToolError(registration.explain_unread(build.receipt))
    daemon = client.connect(allow_remote=build.options.allow_remote)
    registry.settle(daemon, build.pushing)
    registry.check(daemon, receipt, name)
    address = client.normalize(name)
    console.notes(
        [
            f"to {address}, public: anybody can pull it",
            f"under the licence {terms.identifier}",
            f"  {build.gguf.stat().st_size / 1e6:>9,.2f} MB  {receipt.model}  at {daemon.url}",
            *_tell_failed(found),
        ]
    )
    if not wishes.yes and not arguments.confirm("Publish this?"):
        return None
    began_s = time.monotonic()
    console.started("push", [address])
    registry.push(daemon, receipt, name, build.pushing)
    console.done("push", time.monotonic() - began_s, f"ollama run {name}")
    return {"to": name, "digest": receipt.digest}


def _find_licences(build: Build, terms: Terms) -> list[Path]:
    """Find the base's own licence files; where none is asked for, they may be missing."""
    try:
        return fetch.find_licences(build.read_base())
    except ToolError:
        if terms.licence and terms.licence.needs_copy and not terms.text:
            raise
        return []


def _list_plan(plan: Plan, terms: Terms, address: str) -> Iterator[str]:
    remote = plan.remote
    seen = "private" if remote.is_private else "public: anybody can read it"
    yield f"to {address} ({'there' if remote.is_there else 'new'}, {seen})"
    yield f"under the licence {terms.identifier}"
    for item in plan.items:
        yield f"  {item.size_bytes / 1e6:>9,.2f} MB  {item.path}  {plan.find_state(item)}"
    for path in plan.removed:
        yield f"  {'':>12}  {path}  removed"


def _tell_failed(found: Report) -> Iterator[str]:
    if found.failed:
        failed = ", ".join(name.replace("_", " ") for name in found.failed)
        yield f"it failed {failed}, and was let through by hand"
