"""Pushes a build to the hub or with Ollama: check, list, ask, send."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from builder.bases import fetch, hub
from builder.errors import ToolError
from builder.evaluation.report import Report
from builder.ollama import client, registered
from builder.project import Build
from builder.publication import bundle, licensing, readiness, receipts, registry, repository
from builder.publication.licensing import Terms
from builder.publication.repository import Plan
from builder.report import verdict
from builder.targets import MODEL
from builder.terminal.console import Console

# The stages up to the gates.
EXAMINED = MODEL[:-1]


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """The options of a push."""

    is_public: bool
    is_replacing: bool
    confirm: Callable[[str], bool]
    """Asks the user to confirm."""


@dataclass(frozen=True, kw_only=True)
class Publication:
    """What was published, and where."""

    to: str
    """An address on the hub, or a name in Ollama's registry."""
    is_private: bool
    files: dict[str, str]
    """The hub's hash of each file; empty for a push with Ollama."""
    digest: str | None
    """The digest of the model, for a push with Ollama."""


def push_to_hub(build: Build, name: str, console: Console, wishes: Wishes) -> Publication | None:
    """Push to the hub; the caller holds the build's lock.

    Returns:
        What was published; None if the user does not confirm.

    Raises:
        GateError: A gate refused the build.
        ToolError: The build is stale, the licence forbids it, or the hub refuses it.

    """
    found = readiness.check(build, EXAMINED)
    terms = licensing.decide(build)
    licensing.check(terms, name.partition("/")[2])
    repository.check_settings()
    address = f"{hub.read_settings().endpoint}/{name}"
    items = bundle.make(build, name, terms, _find_licences(build, terms))
    pushed = receipts.read(build.pushed).repositories.get(address, {})
    plan = repository.plan(
        repository.ask(name, is_public=wishes.is_public),
        items,
        pushed,
        is_replacing=wishes.is_replacing,
    )
    console.notes(_list_plan(plan, terms, address))
    console.notes(_tell_failed(found))
    digests = {item.path: plan.remote.digests.get(item.path, "") for item in items}
    if plan.is_empty:
        console.notes(["nothing is sent: all of it is there"])
    elif wishes.confirm("Publish this?"):
        began_s = time.monotonic()
        console.line("push", address, style="yellow")
        digests = repository.push(plan, shows_bars=console.can_draw)
        console.done("push", time.monotonic() - began_s, address)
    else:
        return None
    receipts.note(build.pushed, address, digests)
    is_private = plan.remote.is_private
    return Publication(to=address, is_private=is_private, files=digests, digest=None)


def push_with_ollama(
    build: Build, name: str, console: Console, wishes: Wishes
) -> Publication | None:
    """Push with Ollama, like `push_to_hub`.

    Raises:
        GateError: A gate refused the build.
        ToolError: The build is stale, the licence forbids it, or Ollama refuses it.

    """
    found = readiness.check(build, MODEL)
    terms = licensing.decide(build)
    licensing.check(terms, name.rpartition("/")[2].partition(":")[0])
    licensing.check_carried(terms)
    receipt = registered.read(build.receipt)
    if receipt is None:
        raise ToolError(registered.explain_unread(build.receipt))
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
    if not wishes.confirm("Publish this?"):
        return None
    began_s = time.monotonic()
    console.started("push", [address])
    registry.push(daemon, receipt, name, build.pushing)
    console.done("push", time.monotonic() - began_s, f"ollama run {name}")
    return Publication(to=name, is_private=False, files={}, digest=receipt.digest)


def _find_licences(build: Build, terms: Terms) -> list[Path]:
    """Find the licence files of the base, which may be missing if they are not required."""
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
        yield f"let through by --anyway although {verdict.name_failed(found)} failed"
