"""The list of an archive's members (archive.json), and the paths that are allowed."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from pydantic import BaseModel, ConfigDict, Field

from builder import persona
from builder.engine import stamps
from builder.engine.stage import Stage
from builder.escapes import escape
from builder.project import Build
from builder.stages import register
from builder.targets import MODEL

LISTING = "archive.json"
SCHEMA = 1
# The output of the register stage only makes sense on one machine.
CARRIED: tuple[Stage, ...] = tuple(stage for stage in MODEL if stage.NAME != register.NAME)
# The endings of stages' outputs; pickles (.bin, .pt, .pkl) could run code.
SUFFIXES = {"", ".gguf", ".jinja", ".json", ".jsonl", ".model", ".safetensors", ".txt"}
# No build has so many members: the largest so far has thirty.
MOST_MEMBERS, MOST_LISTING_BYTES = 1000, 1 << 20
SHOWN_CHARACTERS = 80


class Member(BaseModel):
    """A file in an archive."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    path: str
    """The path in the project's folder, with slashes."""
    size_bytes: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Listing(BaseModel):
    """The list of an archive's members."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    version: int = Field(alias="schema", ge=1)
    persona: str
    program: str
    """The version of this project that wrote it."""
    members: tuple[Member, ...] = Field(strict=False, max_length=MOST_MEMBERS)

    @property
    def size_bytes(self) -> int:
        """The size of all members."""
        return sum(member.size_bytes for member in self.members)


def list_files(build: Build, stages: Iterable[Stage]) -> dict[str, Path]:
    """List the persona's files and the outputs of stages, by their paths in an archive."""
    read, top = build.persona, PurePosixPath("personas", build.name)
    known = [read.folder / persona.MANIFEST, build.base_lock, *read.data_files]
    found = {str(top / path.relative_to(read.folder).as_posix()): path for path in known}
    outputs = [build.base_choice]
    for stage in stages:
        outputs += [stamps.path(build.folder, stage.NAME), stage.output(build)]
    inside = [
        file
        for output in outputs
        for file in (sorted(output.rglob("*")) if output.is_dir() else [output])
    ]
    top = PurePosixPath("build", build.name)
    found |= {str(top / path.relative_to(build.folder).as_posix()): path for path in inside}
    return {name: path for name, path in found.items() if path.is_file()}


def find_problems(paths: list[str], build: Build) -> list[str]:
    """Describe what is wrong with the paths of an archive; empty if all are allowed."""
    problems = [
        f"{shorten(path)}: {problem}" for path in paths if (problem := _find_problem(path, build))
    ]
    folded = [unicodedata.normalize("NFC", path).casefold() for path in paths]
    folders = {str(folder) for path in folded for folder in PurePosixPath(path).parents}
    seen: set[str] = set()
    for path, key in zip(paths, folded, strict=True):
        if key in seen:
            problems.append(f"{shorten(path)}: appears twice, expected each path once, in any case")
        if key in folders:
            problems.append(f"{shorten(path)}: is a file and a folder, expected one of them")
        seen.add(key)
    return problems


def find_place(path: str, build: Build) -> Path:
    """Give the path at which a member is unpacked."""
    top, _, *inner = PurePosixPath(path).parts
    return (build.persona.folder if top == "personas" else build.folder).joinpath(*inner)


def shorten(path: str) -> str:
    """Shorten a path from an archive to one line."""
    shown = escape(path, keep="")
    return shown if len(shown) <= SHOWN_CHARACTERS else shown[:SHOWN_CHARACTERS] + "…"


def _find_problem(path: str, build: Build) -> str | None:
    """Say what is wrong with one path."""
    parts = path.split("/")
    if path.startswith("/") or path[1:2] == ":":
        return "is absolute, expected a path inside the project"
    if ".." in parts:
        return "leaves the folder, expected a path inside the project"
    if "" in parts or "." in parts or "\\" in path or escape(path, keep="") != path:
        return "is not a plain path, expected names with slashes between them"
    if parts[:2] == ["personas", build.name] and len(parts) > 2:
        return None  # which files belong there is checked after reading the manifest
    inner = PurePosixPath(*parts[2:])
    is_of_build = parts[:2] == ["build", build.name] and _is_output(inner, build)
    if not is_of_build or inner.suffix not in SUFFIXES:
        return f"is not part of {build.name}, expected its persona or what its stages write"
    return None


def _is_output(inner: PurePosixPath, build: Build) -> bool:
    path = build.folder / inner
    outputs = [stage.output(build) for stage in CARRIED]
    single = [build.base_choice, *(stamps.path(build.folder, stage.NAME) for stage in CARRIED)]
    return path in single or any(path.is_relative_to(output) for output in outputs)
