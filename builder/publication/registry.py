"""Pushes a registered model with Ollama, through a copy with the pushed name, which is removed."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from builder import files
from builder.errors import ToolError
from builder.ollama import address, client
from builder.ollama.client import Daemon
from builder.ollama.registered import Receipt
from builder.tables import Table

# The messages of the registry and the daemon for a key that is unknown or must not write
# (cmd/cmd.go of github.com/ollama/ollama 0.34.2, PushHandler).
NOT_ALLOWED = ("unauthorized", "access denied", "unknown ollama key", "signed in", "permission")
# The message in a registry's JSON.
MESSAGE = re.compile(r'"message": ?"([^"]+)"')
SIGN_IN = "`ollama signin` on that machine, and push to a namespace of yours"


class Copy(Table):
    """The record of a copy that a push makes, written first, so that it is removed after a kill."""

    model: str
    digest: str
    url: str


def check(daemon: Daemon, receipt: Receipt, name: str) -> bool:
    """Say whether the name is free; otherwise it must be the model's own, or a copy of it.

    Raises:
        ToolError: The name is another model's.

    """
    found = daemon.find(name)
    if found is not None and found.digest != receipt.digest:
        msg = f"{daemon.url}: has a {found.name} that is not {receipt.model}, expected none"
        hint = f"push to another name, or remove it with `ollama rm {found.name}`"
        raise ToolError(msg, hint=hint)
    return found is None


def push(daemon: Daemon, receipt: Receipt, name: str, note: Path) -> None:
    """Push a registered model under a name, making a temporary copy if necessary.

    Args:
        daemon: The daemon.
        receipt: The receipt of the model.
        name: The name, with a namespace.
        note: The path of the copy's record.

    Raises:
        ToolError: The name is another model's, or the daemon or the registry refuses it.

    """
    with contextlib.ExitStack() as stack:
        if check(daemon, receipt, name):
            stack.enter_context(_copied(daemon, receipt, name, note))
        try:
            daemon.push(name, is_insecure=is_local(name))
        except ToolError as error:
            told = error.problems[0]
            if any(part in told.lower() for part in NOT_ALLOWED):
                said = MESSAGE.search(told)
                why = f" ({said[1]})" if said else ""
                msg = f"{name}: Ollama may not push it there{why}, expected the right to"
                raise ToolError(msg, hint=SIGN_IN) from None
            raise


def is_local(name: str) -> bool:
    """Say whether a name is of a registry on this machine, which needs no encryption."""
    registry = client.normalize(name).partition("/")[0]
    return address.is_loopback(f"http://{registry}")


def settle(daemon: Daemon, note: Path) -> None:
    """Remove the copy of a killed push, if it is unchanged."""
    try:
        copy = Copy.model_validate(files.read_json(note))
    except ValidationError:
        return
    if address.is_same_daemon(copy.url, daemon.url):
        if daemon.digest(copy.model) == copy.digest:
            daemon.delete(copy.model)
        note.unlink()


@contextlib.contextmanager
def _copied(daemon: Daemon, receipt: Receipt, name: str, note: Path) -> Iterator[None]:
    copy = Copy(model=name, digest=receipt.digest, url=daemon.url)
    files.write_json(note, copy.model_dump())
    try:
        daemon.copy(receipt.model, name)
        if daemon.digest(name) != receipt.digest:
            msg = f"{daemon.url}: {name} is not {receipt.model} after copying it, expected that"
            raise ToolError(msg)
        yield
    finally:
        # If the daemon does not answer, the next push does it.
        with contextlib.suppress(ToolError):
            settle(daemon, note)
