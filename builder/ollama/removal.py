"""Removes a build's models from Ollama: those in its receipt and claims, if unchanged."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from builder.errors import ToolError
from builder.ollama import address, registered
from builder.ollama.claims import settle
from builder.ollama.client import Daemon, Listed
from builder.ollama.registered import Receipt


@dataclass(frozen=True, kw_only=True)
class Registered:
    """The records of what a build registered with Ollama."""

    receipt: Path
    claims: Path
    """The folder of the claims."""

    def find(self, daemon: Daemon) -> list[Listed]:
        """List the build's models in this daemon, after settling the claims of killed builds.

        Raises:
            ToolError: The receipt cannot be read, is of another daemon, or its model was changed.

        """
        last = registered.read(self.receipt)
        if last is None and self.receipt.exists():
            raise ToolError(registered.explain_unread(self.receipt))
        claims = settle(daemon, self.claims)
        found = [daemon.find(claim.model) for claim in claims]
        if last is not None:
            found.append(_find_registered(daemon, last))
        return list(dict.fromkeys(model for model in found if model is not None))

    def remove(self, daemon: Daemon, models: list[Listed]) -> None:
        """Delete models that `find` returned, and their records.

        Raises:
            ToolError: A model was changed meanwhile; it and those after it are kept.

        """
        for model in models:
            if daemon.digest(model.name) != model.digest:
                raise ToolError(f"{model.name}: was changed in Ollama, expected no change")
            daemon.delete(model.name)
        self.receipt.unlink(missing_ok=True)
        settle(daemon, self.claims)


def _find_registered(daemon: Daemon, last: Receipt) -> Listed | None:
    """Find the model of a receipt; None if the daemon has no model of that name."""
    if not address.is_same_daemon(last.url, daemon.url):
        msg = f"{last.model}: was registered at {last.url}, expected that daemon, not {daemon.url}"
        raise ToolError(msg, hint=f"set OLLAMA_HOST={last.url}")
    found = daemon.find(last.model)
    if found is not None and found.digest != last.digest:
        what = f"{daemon.url}: {found.name} is not what this build registered"
        msg = f"{what}, expected the digest {last.digest[:12]}, not {found.digest[:12]}"
        raise ToolError(msg, hint=f"look at it, and remove it with `ollama rm {found.name}`")
    return found
