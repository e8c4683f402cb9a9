"""pushed.json: what `push` has published, so that it only replaces its own files."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from builder import files
from builder.tables import Table

SCHEMA = 1


class Pushed(Table):
    """The content of pushed.json."""

    schema_number: Literal[1] = Field(default=1, alias="schema")
    repositories: dict[str, dict[str, str]] = Field(default_factory=dict)
    """The hub's hash of each file, by repository."""


def read(path: Path) -> Pushed:
    """Read the record; empty if there is none, or it is damaged."""
    try:
        return Pushed.model_validate(files.read_json(path))
    except ValidationError:
        return Pushed()


def note(path: Path, repository: str, digests: dict[str, str]) -> None:
    """Record the files of a build in a repository."""
    known = {**read(path).repositories, repository: digests}
    files.write_json(path, Pushed(repositories=known).model_dump(by_alias=True))
