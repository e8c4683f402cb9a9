"""Finds the files of a base: on the hub, in a folder, or in an installed package."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from builder import files
from builder.bases import admission, download, embedded, hub_errors, integrity
from builder.bases.base import Base
from builder.errors import ToolError

log = logging.getLogger("builder")
# Licences, and files that they ask to be passed on.
LICENCE_FILES = ["LICENSE*", "NOTICE*", "USE_POLICY*"]
# tokenizer.model is SentencePiece's, which the converter reads if there is one.
SMALL_FILES = ["*.json", "*.jinja", "*.txt", "tokenizer.model"]


def find_small_files(chosen: Base) -> Path:
    """Give a folder with the base's config, tokenizer and chat template."""
    if chosen.kind == "hub":
        return _snapshot(chosen.source, chosen.revision, SMALL_FILES)
    return find_weights(chosen)


def list_files(chosen: Base) -> list[str]:
    """List the names of a base's files, also of those not fetched yet, after its small files.

    Returns:
        An empty list for the embedded base, which is complete, and if the cache has no list.

    """
    if chosen.kind == "folder":
        return [path.name for path in find_weights(chosen).glob("*")]
    if chosen.kind == "embedded":
        return []
    return _list_repository(chosen.source, chosen.revision)


def find_weights(chosen: Base, *, training: bool = False) -> Path:
    """Give a folder with the base's weights, which are fetched or unpacked once.

    Args:
        chosen: The base.
        training: Whether to give the weights to train on, which may be in 4 bit.

    Raises:
        ToolError: The hub cannot be reached and the cache does not have them.

    """
    if chosen.kind == "folder":
        return files.expand_home(chosen.source)
    if chosen.kind == "embedded":
        return embedded.find_checkpoint(chosen)
    source, revision = (
        (chosen.train_source, chosen.train_revision)
        if training
        else (chosen.source, chosen.revision)
    )
    small = _snapshot(source, revision, SMALL_FILES)
    admission.check_shards(source, small, _list_repository(source, revision))
    return _snapshot(source, revision, ["*.safetensors", *SMALL_FILES])


def find_licences(chosen: Base) -> list[Path]:
    """Find the licence files of the base, on the hub or in its folder.

    Raises:
        ToolError: The hub cannot be reached and the cache does not have them.

    """
    if chosen.kind == "embedded":
        return []
    if chosen.kind == "folder":
        folder = files.expand_home(chosen.source)
    else:
        folder = _snapshot(chosen.source, chosen.revision, LICENCE_FILES)
    found = [path for pattern in LICENCE_FILES for path in sorted(folder.glob(pattern))]
    return [path for path in found if path.is_file()]


@dataclass(frozen=True)
class Listing:
    """The newest commit of a repository, and its files."""

    revision: str
    """The newest commit."""
    files: tuple[str, ...]


def describe(repository: str) -> Listing:
    """Ask the hub for the newest commit of a repository and the names of its files.

    Raises:
        ToolError: There is no such repository, or the hub cannot be reached.

    """
    with hub_errors.explaining(repository):
        from huggingface_hub import HfApi  # noqa: PLC0415 — takes a second

        found = HfApi().model_info(repository, timeout=30)
        names = tuple(sibling.rfilename for sibling in found.siblings or ())
        return Listing(str(found.sha), names)


def find_revision(repository: str) -> str:
    """Ask the hub for the newest commit of a repository.

    Raises:
        ToolError: There is no such repository, or the hub cannot be reached.

    """
    return describe(repository).revision


def _list_repository(repository: str, revision: str) -> list[str]:
    """List the names of a repository's files from the cache; fetching files has cached the list."""
    from huggingface_hub import get_cached_repo_tree  # noqa: PLC0415 — takes a second
    from huggingface_hub.errors import CachedRepoTreeNotFoundError  # noqa: PLC0415

    try:
        return [file.path for file in get_cached_repo_tree(repository, revision=revision)]
    except CachedRepoTreeNotFoundError:
        return []


def _snapshot(repository: str, revision: str, patterns: list[str]) -> Path:
    """Fetch files of a repository once, and compare each once with the hub's hash.

    Raises:
        ToolError: They cannot be fetched, there is no room, or they arrive broken.

    """
    folder = download.download(repository, revision, patterns)
    if broken := integrity.find_broken(folder):
        for path in broken:
            log.warning("%s: %s is broken in the cache; it is fetched again", repository, path.name)
            integrity.remove(path)
        folder = download.download(repository, revision, patterns)
        broken = integrity.find_broken(folder)
    if broken:
        for path in broken:
            integrity.remove(path)
        names = ", ".join(path.name for path in broken)
        what = f"{names} was downloaded with another hash"
        msg = f"{repository}: {what}, expected the one that the hub lists"
        raise ToolError(msg, hint="build again later, or set HF_ENDPOINT to another mirror")
    return folder
