"""What `push` put where, so that it replaces there only what it put there itself."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from builder import files
from builder.tables import Table

SCHEMA = 1


class Pushed(Table):
    """What pushes left, in pushed.json."""

    schema_number: Literal[1] = Field(default=1, alias="schema")
    repositories: dict[str, dict[str, str]] = Field(default_factory=dict)
    """By address and name of a repository: each file, and what the hub knows it by."""


def read(path: Path) -> Pushed:
    """Read what was pushed; nothing where there is no record, or it is damaged."""
    try:
        return Pushed.model_validate(files.read_json(path))
    except ValidationError:
        return Pushed()


def note(path: Path, repository: str, digests: dict[str, str]) -> None:
    """Write down what a repository holds of a build."""
    known = {**read(path).repositories, repository: digests}
    files.write_json(path, Pushed(repositories=known).model_dump(by_alias=True))
