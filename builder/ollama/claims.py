"""Claims: records of what a registration makes in the daemon, written before it is made.

After a kill, the next build uses the claims to remove temporary models, and to recognise its own
model.
"""

from __future__ import annotations

import contextlib
import secrets
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from builder import files
from builder.errors import ToolError
from builder.ollama import address, client
from builder.ollama.client import Daemon
from builder.tables import Table


class Claim(Table):
    """What one registration makes in one daemon."""

    model: str
    url: str
    unverified: Annotated[str, Field(pattern=r"^persona-unverified:[0-9a-f]{32}$")]
    """The name of the temporary model that is verified."""
    replaced: Annotated[str, Field(pattern=r"^persona-replaced:[0-9a-f]{32}$")]
    """The name that the previous model gets until the new one has its name."""
    digest: str | None = None
    """The digest of the new model; None until the temporary model exists."""


def write_claim(daemon: Daemon, model: str, folder: Path) -> tuple[Claim, Path]:
    """Write a claim; return it and its file."""
    mark = secrets.token_hex(16)
    claim = Claim(
        model=model,
        url=daemon.url,
        unverified=f"persona-unverified:{mark}",
        replaced=f"persona-replaced:{mark}",
    )
    files.write_json(folder / f"{mark}.json", claim.model_dump())
    return claim, folder / f"{mark}.json"


def settle(daemon: Daemon, folder: Path) -> list[Claim]:
    """Remove temporary models of earlier registrations from this daemon, and restore a lost name.

    Returns:
        The claims whose model is now served.

    """
    valid = []
    for path in sorted(folder.glob("*.json")):
        try:
            claim = Claim.model_validate(files.read_json(path))
        except ValidationError:
            continue
        if not address.is_same_daemon(claim.url, daemon.url):
            continue
        if _is_lost(daemon, claim):
            daemon.copy(claim.replaced, claim.model)
        temporary = (claim.unverified, claim.replaced)
        for name in temporary:
            daemon.delete(name)
        if any(daemon.digest(name) is not None for name in temporary):
            continue  # the next build tries again
        if claim.digest is not None and daemon.digest(claim.model) == claim.digest:
            valid.append(claim)
        else:
            path.unlink()
    return valid


def _is_lost(daemon: Daemon, claim: Claim) -> bool:
    """Say whether the old model lost its name, but the new one did not get it."""
    names = {client.normalize(name) for name in daemon.names()}
    return client.normalize(claim.replaced) in names and client.normalize(claim.model) not in names


def settle_before_cleaning(folder: Path) -> None:
    """Settle the claims of a build before it is deleted, if this machine's daemon answers."""
    if any(folder.glob("*.json")):
        with contextlib.suppress(ToolError):
            settle(client.connect(allow_remote=False), folder)
