"""Checks the settings of the hub, and the disk space of caches and builds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from builder import disk, files
from builder.bases import hub
from builder.command import command
from builder.doctor.finding import Finding, accept, format_bytes, warn

NAME = "storage"


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A folder of caches or builds."""

    use: str
    path: str
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class Storage:
    """The settings of the hub, and the sizes of folders."""

    hub: hub.Settings
    folders: tuple[Folder, ...]


def find() -> Storage:
    """Read the hub's settings, and measure the folders."""
    settings = hub.read_settings()
    named = (
        ("cache of personas", files.cache_folder()),
        ("cache of the hub", settings.cache),
        ("builds", Path.cwd() / "build"),
    )
    return Storage(
        hub=settings,
        folders=tuple(
            Folder(use=use, path=str(path), size_bytes=disk.measure_bytes(path))
            for use, path in named
        ),
    )


def judge(found: Storage) -> Iterator[Finding]:
    """Judge the settings of the hub, and report the sizes."""
    yield _judge_hub(found.hub)
    for folder in found.folders:
        told = f"{format_bytes(folder.size_bytes)} in {folder.path}"
        if folder.use == "builds" and folder.size_bytes:
            told += f" (`{command('clean')}` says what each takes)"
        yield accept(folder.use, told)


def _judge_hub(settings: hub.Settings) -> Finding:
    mirror = " (HF_ENDPOINT)" if settings.is_mirror else ""
    token = f"a token is in {settings.token}" if settings.token else "no token"
    told = f"{settings.endpoint}{mirror}, files in {settings.home}, {token}"
    parts = urlsplit(settings.endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        advice = "set HF_ENDPOINT to a mirror's https:// address, or unset it"
        return warn("hub", f"{told}; that is not the address of a hub", advice)
    if settings.is_offline:
        advice = "unset HF_HUB_OFFLINE to fetch a base that is not in the cache"
        return warn("hub", f"{told}; offline: only what is in the cache is found", advice)
    return accept("hub", told)
