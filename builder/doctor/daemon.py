"""Checks Ollama: its address, its release, and changes since that release."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from builder.command import has_recipes
from builder.doctor.finding import Finding, accept, refuse, warn
from builder.errors import ToolError
from builder.ollama import address, client, releases

NAME = "ollama"
# The longest wait for a daemon on another machine.
ANSWER_WAIT_S = 0.5


@dataclass(frozen=True, kw_only=True)
class Ollama:
    """The state of Ollama."""

    url: str
    problem: str
    """Why there is no address, or why what answers is not Ollama."""
    hint: str
    is_local: bool
    version: str | None
    """None if nothing answers."""
    binary: str | None
    is_named: bool
    """Whether OLLAMA_HOST is set."""


def find() -> Ollama:
    """Look for a daemon, and for an installed program."""
    url, problem, hint, version = "", "", "", None
    try:
        url = address.host()
        version = client.ask_version(url, wait_s=ANSWER_WAIT_S)
    except ToolError as error:
        problem, hint = error.problems[0], error.hint or ""
    return Ollama(
        url=url,
        problem=problem,
        hint=hint,
        is_local=bool(url) and address.is_loopback(url),
        version=version,
        binary=client.find_binary(),
        is_named=bool(os.environ.get("OLLAMA_HOST")),
    )


def judge(found: Ollama) -> Iterator[Finding]:
    """Judge whether a build can register with it."""
    yield _judge(found)


def _judge(found: Ollama) -> Finding:
    if found.problem:
        return refuse("ollama", found.problem, found.hint)
    if found.version is None:
        return _judge_silence(found)
    told = f"{found.version} at {found.url}"
    if not releases.is_supported(found.version):
        told += f", expected {releases.LOWEST.version} or newer, which {releases.LOWEST.what}"
        return refuse("ollama", told, "update Ollama: ollama.com/download")
    told += f"; {_compare(found.version)}"
    if not found.is_local:
        return warn(
            "ollama",
            f"{told}; that is not this machine",
            "build with --allow-remote, which sends the model there, unencrypted",
        )
    return accept("ollama", told)


def _judge_silence(found: Ollama) -> Finding:
    if found.binary is None and not found.is_named:
        get = "get it at ollama.com/download" + (", or run `just ollama`" if has_recipes() else "")
        told = f"none here, and none answers at {found.url}; builds end without a name in it"
        return warn("ollama", told, get)
    told = f"does not answer at {found.url}, expected Ollama"
    if found.binary:
        told += f"; {found.binary} is installed"
    return refuse("ollama", told, client.SILENT_HINT)


def _compare(version: str) -> str:
    """List the changes after a release."""
    if releases.is_source_build(version):
        return "built from source without a version: taken for a new one"
    later = releases.list_later(version)
    if not later:
        return f"all {len(releases.CHANGES)} changes that builds know of are in it"
    return "older than " + "; ".join(
        f"{change.version}, since which it {change.what}, so {change.so}" for change in later
    )
