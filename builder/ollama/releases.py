"""The releases of Ollama whose changes matter to builds; no other module depends on a version."""

from __future__ import annotations

import re
from dataclasses import dataclass

Version = tuple[int, int, int]


@dataclass(frozen=True)
class Change:
    """One change in Ollama's behaviour."""

    since: Version
    """The first release that has it."""
    what: str
    so: str
    """How builds deal with it, for all supported releases."""
    source: str
    """A pull request or file of github.com/ollama/ollama, or a measurement."""

    @property
    def version(self) -> str:
        """The first release that has it, as text."""
        return ".".join(map(str, self.since))


RENDER_ONLY = Change(
    (0, 11, 5),
    "tells the prompt it would give the model",
    "parity reads it",
    "server/routes.go, _debug_render_only",
)
MEMORY_DECIDES_CONTEXT = Change(
    (0, 15, 5),
    "num_ctx depends on the memory of its GPU where nobody sets it",
    "it is always set",
    "server/routes.go",
)
OWN_TEMPLATE_WINS = Change(
    (0, 30, 0),
    "a GGUF's own template wins over a TEMPLATE where it knows tools or thinking",
    "such a file is served by its own template, and the Modelfile has none",
    "PR 16031; server/images.go, shouldPreferChatTemplate",
)
WRITTEN_ANEW = Change(
    (0, 30, 0),
    "creating from a GGUF may write the file anew, under another digest",
    "the name is a copy of the model that was verified, not made again of the file that was sent",
    "PR 16031; server/create.go; 0.34.2 kept the digest of every file here",
)
BOUNDED_CREATION = Change(
    (0, 31, 2),
    "creating from a GGUF is safe against a file that asks for too much memory",
    "an older one is refused",
    "PR 17062",
)
NO_REPEAT_PENALTY = Change(
    (0, 32, 10),
    "repeat_penalty is 1.0 where nobody sets it, 1.1 before",
    "it is always set",
    "commit 6a261db7d",
)
NO_ADAPTER = Change(
    (0, 34, 1),
    "takes no ADAPTER, and makes no GGUF of safetensors",
    "the adapter is merged into one GGUF",
    "issue 14969; 0.34.2 refused an adapter here",
)
NO_TYPICAL_P = Change(
    (0, 34, 1),
    "refuses to create a model with typical_p",
    "the manifest may not set it",
    "issues 18448, 18480, 18542; 0.34.2 refused it here",
)

CHANGES = (
    RENDER_ONLY,
    MEMORY_DECIDES_CONTEXT,
    OWN_TEMPLATE_WINS,
    WRITTEN_ANEW,
    BOUNDED_CREATION,
    NO_REPEAT_PENALTY,
    NO_ADAPTER,
    NO_TYPICAL_P,
)
LOWEST = BOUNDED_CREATION


def is_source_build(version: str) -> bool:
    """Say whether a daemon was built from source without a version."""
    return _numbers(version) == (0, 0, 0)


def is_supported(version: str) -> bool:
    """Say whether a daemon is supported; one built from source is assumed to be."""
    return is_source_build(version) or _numbers(version) >= LOWEST.since


def list_later(version: str) -> list[Change]:
    """List the changes after a release."""
    return [change for change in CHANGES if change.since > _numbers(version)]


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d{1,9}", version)[:3])
