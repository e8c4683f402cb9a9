"""Refuses a base that cannot be built on, before its weights are fetched."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from builder.bases.facts import Facts
from builder.bases.refusals import (
    BY_FILES,
    FETCH_AGAIN,
    NOT_WHOLE,
    REFUSALS,
    SHARDS,
    Candidate,
    Refusal,
)
from builder.errors import ToolError

# The errors of reading a table that has an unexpected form.
MISSHAPEN = (AttributeError, IndexError, KeyError, RecursionError, TypeError, ValueError)


def check_files(source: str, files: Iterable[str], *, is_repository: bool = True) -> None:
    """Refuse a base by the names of its files, before any is fetched or read.

    Raises:
        ToolError: It has no weights in safetensors.

    """
    base = Candidate(source, Facts(Path()), frozenset(files), is_repository=is_repository)
    _check(base, BY_FILES)


def check_shards(source: str, folder: Path, files: Iterable[str]) -> None:
    """Refuse a repository that lacks shards named in its index.

    Args:
        source: The repository.
        folder: The folder with its small files.
        files: The names of all its files.

    Raises:
            ToolError: A shard is missing, or the index cannot be read.

    """
    _check(Candidate(source, Facts(folder), frozenset(files), is_repository=True), (SHARDS,))


def check(
    source: str,
    folder: Path,
    template: str = "base",
    files: Iterable[str] = (),
    *,
    is_repository: bool = False,
) -> None:
    """Refuse a base that cannot be built on, by its config and tokenizer.

    Args:
        source: Its repository or folder, for messages.
        folder: The folder with its small files.
        template: `data.template`: only with `base` does it need its own chat template.
        files: The names of all its files, also of weights that are not fetched yet; empty if
            they are not known.
        is_repository: Whether it is a repository on the hub.

    Raises:
        ToolError: It is refused.

    """
    facts, names = Facts(folder), frozenset(files)
    _check(Candidate(source, facts, names, template, is_repository), REFUSALS)


def _check(base: Candidate, refusals: Iterable[Refusal]) -> None:
    for refusal in refusals:
        try:
            problem = refusal.find(base)
        except MISSHAPEN:
            what = "its config or tokenizer is not of the form that Hugging Face writes"
            hint = _advise(base, FETCH_AGAIN, NOT_WHOLE)
            raise ToolError(f"{base.source}: {what}, expected a whole base", hint=hint) from None
        if problem:
            hint = _advise(base, refusal.instead, refusal.of_repository)
            raise ToolError(f"{base.source}: {problem}", hint=hint)


def _advise(base: Candidate, instead: str, of_repository: str) -> str:
    chosen = of_repository if base.is_repository and of_repository else instead
    return chosen.format(source=base.source)
