"""Where a base's files come from: the hub, a folder, or an installed package."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder import progress
from builder.bases import embedded
from builder.bases.base import KINDS, WITHOUT_HUB, Base
from builder.errors import ToolError

# tokenizer.model is SentencePiece's, which the converter reads of families that have it.
SMALL_FILES = ["*.json", "*.jinja", "*.txt", "tokenizer.model"]


def find_small_files(chosen: Base) -> Path:
    """Give a folder that holds the base's config, tokenizer and template."""
    if chosen.kind == "hub":
        return _snapshot(chosen.source, chosen.revision, SMALL_FILES)
    return find_weights(chosen)


def find_weights(chosen: Base, *, training: bool = False) -> Path:
    """Give a folder with the base's weights, fetched or read from its package once.

    Args:
        chosen: The base.
        training: Whether the 4-bit sibling is wanted, where there is one.

    Raises:
        ToolError: The hub cannot be reached and the cache does not have them.

    """
    if chosen.kind == "folder":
        return Path(chosen.source).expanduser()
    if chosen.kind == "embedded":
        return embedded.find_checkpoint(chosen)
    source, revision = (
        (chosen.train_source, chosen.train_revision)
        if training
        else (chosen.source, chosen.revision)
    )
    return _snapshot(source, revision, ["*.safetensors", *SMALL_FILES])


@dataclass(frozen=True)
class Listing:
    """What the hub says of a repository."""

    revision: str
    """Its newest commit."""
    files: tuple[str, ...]


def describe(repository: str) -> Listing:
    """Ask the hub for a repository's newest commit and the names of its files.

    Raises:
        ToolError: There is no such repository, or the hub cannot be reached.

    """
    with _hub_errors(repository):
        from huggingface_hub import HfApi  # noqa: PLC0415 — takes a second

        found = HfApi().model_info(repository, timeout=30)
        names = tuple(sibling.rfilename for sibling in found.siblings or ())
        return Listing(str(found.sha), names)


def find_revision(repository: str) -> str:
    """Ask the hub for a repository's newest commit.

    Raises:
        ToolError: There is no such repository, or the hub cannot be reached.

    """
    return describe(repository).revision


def _snapshot(repository: str, revision: str, patterns: list[str]) -> Path:
    with _hub_errors(repository):
        from huggingface_hub import snapshot_download  # noqa: PLC0415 — takes a second

        return Path(
            snapshot_download(
                repository, revision=revision, allow_patterns=patterns, tqdm_class=_reporting_bar()
            )
        )


@contextmanager
def _hub_errors(repository: str) -> Iterator[None]:
    """Say in one sentence why the hub does not give a repository."""
    import httpx  # noqa: PLC0415 — with the hub's client

    try:
        yield
    # httpx's errors are no OSError, and what is no hub's answer is a ValueError of its reader.
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, RuntimeError) as error:
        problem, hint = _explain(error, repository)
        raise ToolError(f"{repository}: {problem}", hint=hint) from None


def _explain(error: Exception, repository: str) -> tuple[str, str]:
    """Tell what is wrong and what to do.

    Source:
        huggingface_hub 1.33: errors.py, and utils/_http.py for which answer raises which of them.
    """
    import httpx  # noqa: PLC0415 — with the hub's client
    from huggingface_hub import constants, errors  # noqa: PLC0415 — takes a second

    hub, reason = constants.ENDPOINT, str(error.__cause__ or error).strip().partition("\n")[0]
    hint = f"check the network; {WITHOUT_HUB}"
    match error:
        case errors.HFValidationError():
            problem, hint = f"is no base, expected {KINDS}", WITHOUT_HUB
        case errors.GatedRepoError():
            problem = "is gated, expected that its owner gave you access"
            hint = f"ask for it at {hub}/{repository}, then build with your HF_TOKEN set"
        case errors.RepositoryNotFoundError():
            problem = f"is not on {hub}, or is private, expected {KINDS}"
            hint = "check the name; a private one needs your HF_TOKEN"
        case errors.RevisionNotFoundError():
            problem = f"is on {hub} without the revision that base.lock names, expected it"
            hint = "delete its entry in base.lock to pin today's revision"
        case errors.HfHubHTTPError():
            problem = f"{hub} answers {error.response.status_code}, expected the repository"
            hint = "check HF_TOKEN, or build later: what was fetched is kept"
        case _ if constants.HF_HUB_OFFLINE:
            problem = "is not in the cache, expected it there while HF_HUB_OFFLINE is set"
            hint = f"unset HF_HUB_OFFLINE; {WITHOUT_HUB}"
        case httpx.RequestError() | ConnectionError() | errors.LocalEntryNotFoundError():
            problem = f"{hub} cannot be reached ({reason}), expected it or the base in the cache"
        case OSError():
            problem = f"cannot be kept in the cache ({reason}), expected room there"
            hint = "free some disk, or set HF_HOME to a folder with room"
        case _:
            problem = f"{hub} answers as no hub does ({reason}), expected the repository"
    return problem, hint


def _reporting_bar() -> type:
    """Make a bar that draws nothing and reports the bytes huggingface_hub has fetched."""
    from tqdm import tqdm  # noqa: PLC0415 — with the hub's client

    class Bar(tqdm):  # type: ignore[misc]
        def __init__(self, *arguments: Any, name: str | None = None, **options: Any) -> None:
            del name
            super().__init__(*arguments, **options)

        def display(self, *_arguments: Any, **_options: Any) -> bool:
            # Of two bars of bytes the other counts what compressed transfers saved
            # (huggingface_hub 1.33).
            if self.unit == "B" and self.total and not str(self.desc).startswith("Downloading"):
                progress.report(
                    "fetches the base",
                    int(self.n) // 1_000_000,
                    int(self.total) // 1_000_000,
                    "MB",
                )
            return True

    return Bar
