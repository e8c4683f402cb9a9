"""Reads the folder and manifest of a persona, and reports all mistakes with their lines."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from pydantic import ValidationError

from builder.command import command
from builder.errors import ManifestError
from builder.manifest import mistakes, toml
from builder.manifest.manifest import Manifest
from builder.tables import Table, tell_first
from builder.words import suggest

MANIFEST = "persona.toml"
# Folders beside a persona while it is unpacked: the new files, and the replaced ones.
UNPACKING, REPLACED = ".unpacking", "old"
# The endings of the data file, if the manifest names none and there is no data.jsonl.
ENDINGS = (".csv", ".tsv", ".json", ".parquet")
# The name of a persona is the name of a folder, a file and an Ollama model, and must be valid for
# all three (types/model/name.go of github.com/ollama/ollama 0.34.2 allows 80 characters).
NAME_PATTERN = re.compile(r"[a-z0-9][a-z0-9_.-]{0,79}")
# The tables that decide how rows are read.
OF_ROWS = ("data", "identity", "kind")


class Persona(Table):
    """A persona: its name, folder and manifest."""

    name: str
    folder: Path
    manifest: Manifest

    @property
    def model(self) -> str:
        """The name in Ollama, always with a tag."""
        name = self.manifest.ollama.model or self.name
        return name if ":" in name.rpartition("/")[2] else f"{name}:latest"

    @property
    def title(self) -> str:
        """The persona's name for itself, or else its folder's name."""
        return next(iter(self.manifest.texts("name")), self.name)

    def where(self, *keys: str) -> str:
        """Write the place of a key in the manifest as `path:line: key`."""
        path = self.folder / MANIFEST
        try:
            return toml.read(path).where(keys)
        except (OSError, ValueError):  # the file has changed since it was read
            return f"{path}: {toml.write_key(keys)}"

    @property
    def data_files(self) -> list[Path]:
        """The paths of the data files; without names `data.jsonl`, or else the only data file."""
        data = self.manifest.data
        named = [self.folder / file for file in data.files]
        if "files" in data.model_fields_set or os.path.lexists(named[0]):
            return named
        others = [named[0].with_suffix(ending) for ending in ENDINGS]
        found = [path for path in others if os.path.lexists(path)]
        return found if len(found) == 1 else named


def read(
    folder: Path,
    find_in_rows: Callable[[Persona], list[str]] = lambda _: [],
) -> Persona:
    """Read and check a persona's manifest.

    Args:
        folder: The folder of the persona.
        find_in_rows: Finds problems in the rows, to report them with those of the manifest.

    Raises:
        ManifestError: The name, the folder or the manifest is wrong; it has all mistakes.

    """
    check_name(folder.name)
    path = folder / MANIFEST
    _check_inside(folder.parent, folder, hint="copy the folder there, or link to another in it")
    _check_inside(folder, path, hint="copy the file into the persona's folder")
    document = _read_document(path)
    manifest, problems = _validate(document)
    if manifest is None:
        raise ManifestError(*problems)
    persona = Persona(name=folder.name, folder=folder, manifest=manifest)
    outside = _list_outside(folder, *persona.data_files)
    if problems:
        raise ManifestError(*problems, *(outside or find_in_rows(persona)))
    if outside:
        raise ManifestError(*outside, hint="copy the file into the persona's folder")
    return persona


def _validate(document: toml.Document) -> tuple[Manifest | None, list[str]]:
    """Check a manifest, and list its mistakes.

    Tables with mistakes are left out of the manifest. There is none if the rows cannot be read
    without them.
    """
    try:
        return Manifest.model_validate(document.table), []
    except ValidationError as error:
        found = error.errors(include_url=False)
    found.sort(key=functools.partial(mistakes.find_line, document))
    problems = tell_first(found, functools.partial(mistakes.describe, document))
    wrong = {next(iter(mistake["loc"]), None) for mistake in found}
    if wrong.intersection((*OF_ROWS, None)):
        return None, problems
    right = {key: value for key, value in document.table.items() if key not in wrong}
    try:
        return Manifest.model_validate(right), problems
    except ValidationError:
        return None, problems


def _read_document(path: Path) -> toml.Document:
    try:
        return toml.read(path)
    except FileNotFoundError:
        folder = path.parent
        if (folder.with_name(f".{folder.name}{UNPACKING}") / REPLACED).is_dir():
            raise ManifestError(
                f"{path}: no such file, as an unpacking was killed while it replaced {folder.name}",
                hint=f"run `{command('unpack FILE --replace')}` again: what it replaced comes back",
            ) from None
        others = sorted(other.parent.name for other in folder.parent.glob(f"*/{MANIFEST}"))
        raise ManifestError(
            f"{path}: no such file, expected a manifest{suggest(folder.name, others)}",
            hint=f"the personas here are: {', '.join(others)}"
            if others
            else "add personas/NAME/persona.toml",
        ) from None
    except ValueError as error:
        hint = "save it as a TOML file in UTF-8"
        if "Invalid value" in str(error):  # tomllib's words
            hint = 'put text in quotes, such as name = "Luma"'
        raise ManifestError(str(error), hint=hint) from None


def check_name(name: str, known: Iterable[str] = ()) -> str:
    """Check the name of a persona, and return it; *known* names are suggested.

    Raises:
        ManifestError: It is not valid.

    """
    if not NAME_PATTERN.fullmatch(name):
        shown = name if len(name) <= 40 else name[:40] + "…"
        expected = "up to 80 lower-case letters, digits, '-', '_' or '.'"
        msg = f"{shown!r} is not a persona's name, expected {expected}{suggest(name, known)}"
        raise ManifestError(msg)
    return name


def _check_inside(folder: Path, *paths: Path, hint: str) -> None:
    """Refuse paths that a link leads out of a folder; the folder itself may be a link."""
    if problems := _list_outside(folder, *paths):
        raise ManifestError(*problems, hint=hint)


def _list_outside(folder: Path, *paths: Path) -> list[str]:
    """Say of each path that a link leads out of a folder that it does."""
    outside = [path for path in paths if not _real(path).is_relative_to(_real(folder))]
    return [f"{path}: a link that leaves {folder}, expected it inside" for path in outside]


def find(root: Path) -> list[str]:
    """List the names of the personas in a folder, in alphabetical order, without hidden folders."""
    return sorted(path.parent.name for path in root.glob(f"[!.]*/{MANIFEST}"))


def _real(path: Path) -> Path:
    """Resolve all links; unlike Path.resolve, it does not fail for circular links.

    Raises:
        ManifestError: The path cannot be encoded in this locale.

    """
    try:
        return Path(os.path.realpath(path))
    except UnicodeEncodeError:
        msg = f"{path}: cannot be written in this locale, expected UTF-8"
        raise ManifestError(msg, hint="set LC_ALL=C.UTF-8") from None
