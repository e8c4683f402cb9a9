"""Downloads files of a repository on the hub into the cache, if there is room."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from builder import disk, progress
from builder.bases import hub, hub_errors, integrity
from builder.bases.hub_errors import Purpose


def download(
    repository: str,
    revision: str,
    patterns: Sequence[str],
    *,
    kind: Literal["model", "dataset"] = "model",
    purpose: Purpose = hub_errors.FETCH,
) -> Path:
    """Download files that are not in the cache, and return the folder of the revision.

    Args:
        repository: The name of the repository.
        revision: A commit.
        patterns: Patterns for the names of the files.
        kind: The kind of repository.
        purpose: The words for messages and progress.

    Raises:
        ToolError: They cannot be fetched, or there is no room.

    """
    integrity.remove_abandoned(hub.read_settings().cache, repository, kind)
    with hub_errors.explaining(repository, purpose):
        from huggingface_hub import snapshot_download  # noqa: PLC0415 — takes a second

        wanted = snapshot_download(
            repository,
            repo_type=kind,
            revision=revision,
            allow_patterns=list(patterns),
            dry_run=True,
            tqdm_class=_make_silent_bar(),
        )
        need_bytes = sum(one.file_size or 0 for one in wanted if one.will_download)
        hint = "free some disk, or set HF_HOME to a folder with room"
        disk.check_room(hub.read_settings().cache, need_bytes, repository, hint=hint)
        return Path(
            snapshot_download(
                repository,
                repo_type=kind,
                revision=revision,
                allow_patterns=list(patterns),
                tqdm_class=make_bar(purpose.words),
            )
        )


def make_bar(words: str) -> type:
    """Make a tqdm bar that draws nothing and reports the bytes that were fetched."""
    silent: Any = _make_silent_bar()

    class Reporting(silent):  # type: ignore[misc]
        def display(self, *_arguments: Any, **_options: Any) -> bool:
            # There are two bars of bytes: the other one counts what compression saved
            # (huggingface_hub 1.33).
            if self.unit == "B" and self.total and not str(self.desc).startswith("Downloading"):
                done, total = int(self.n) // 1_000_000, int(self.total) // 1_000_000
                progress.report(words, done, total, "MB")
            return True

    return Reporting


def _make_silent_bar() -> type:
    """Make a tqdm bar that draws nothing."""
    from tqdm import tqdm  # noqa: PLC0415 — with the hub's client

    class Silent(tqdm):  # type: ignore[misc]
        def __init__(self, *arguments: Any, name: str | None = None, **options: Any) -> None:
            del name
            super().__init__(*arguments, **options)

        def display(self, *_arguments: Any, **_options: Any) -> bool:
            return True

    return Silent
