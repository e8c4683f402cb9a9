"""A persona's folder and its manifest, or every mistake in it at once, each with its line."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
import typing
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from builder import files
from builder.errors import ManifestError
from builder.manifest import Manifest
from builder.tables import Table

MANIFEST = "persona.toml"
# A persona's name is a folder, a file name and an Ollama model at once: the narrowest of the three
# (github.com/ollama/ollama 0.34.2, types/model/name.go allows 80 characters) decides.
NAME_PATTERN = re.compile(r"[a-z0-9][a-z0-9_.-]{0,79}")


class Persona(Table):
    """A persona: its name, the folder it lives in, and its manifest."""

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
        """What it calls itself, or else its folder's name."""
        return next(iter(self.manifest.texts("name")), self.name)

    @property
    def data_files(self) -> list[Path]:
        """The data files' paths."""
        return [self.folder / file for file in self.manifest.data.files]


def read(folder: Path) -> Persona:
    """Read and check a persona's manifest.

    Raises:
        ManifestError: The name, the folder or the manifest is wrong; all mistakes at once.

    """
    check_name(folder.name)
    path = folder / MANIFEST
    _check_inside(folder.parent, folder, hint="copy the folder there, or link to another in it")
    if not path.is_file():
        others = sorted(other.parent.name for other in folder.parent.glob(f"*/{MANIFEST}"))
        raise ManifestError(
            f"{path}: no such file, expected a manifest{suggest(folder.name, others)}",
            hint=f"the personas here are: {', '.join(others)}"
            if others
            else "add personas/NAME/persona.toml",
        )
    _check_inside(folder, path, hint="copy the file into the persona's folder")
    try:
        text = files.read_text(path)
    except ValueError as error:
        raise ManifestError(str(error), hint="save it as UTF-8") from None
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"line (\d+)", str(error))
        where = f"{path}:{line[1]}" if line else str(path)
        raise ManifestError(f"{where}: {error}, expected TOML") from None
    try:
        manifest = Manifest.model_validate(table)
    except ValidationError as error:
        raise ManifestError(
            *(_sentence(path, text, problem) for problem in error.errors())
        ) from None
    persona = Persona(name=folder.name, folder=folder, manifest=manifest)
    _check_inside(folder, *persona.data_files, hint="copy the file into the persona's folder")
    return persona


def suggest(name: str, known: Iterable[str]) -> str:
    """Ask whether the known name most like the one typed was meant; "" where none is like it."""
    close = difflib.get_close_matches(name.casefold(), sorted(known), 1)
    return f"; did you mean '{close[0]}'?" if close else ""


def check_name(name: str, known: Iterable[str] = ()) -> str:
    """Give back a persona's name, checked; *known* are those that may have been meant.

    Raises:
        ManifestError: It is none.

    """
    if not NAME_PATTERN.fullmatch(name):
        shown = name if len(name) <= 40 else name[:40] + "…"
        expected = "up to 80 lower-case letters, digits, '-', '_' or '.'"
        msg = f"{shown!r} is not a persona's name, expected {expected}{suggest(name[:80], known)}"
        raise ManifestError(msg)
    return name


def _check_inside(folder: Path, *paths: Path, hint: str) -> None:
    """Refuse what a link, anywhere on the way, leads out of a folder; the folder may be a link."""
    outside = [path for path in paths if not _real(path).is_relative_to(_real(folder))]
    if outside:
        problems = (f"{path}: a link that leaves {folder}, expected it inside" for path in outside)
        raise ManifestError(*problems, hint=hint)


def find(root: Path) -> list[str]:
    """Name the personas below a folder, in alphabetical order; hidden folders are none."""
    return sorted(path.parent.name for path in root.glob(f"[!.]*/{MANIFEST}"))


def _real(path: Path) -> Path:
    """Follow every link; Path.resolve raises a RuntimeError where links go round in a circle."""
    return Path(os.path.realpath(path))


def _sentence(path: Path, text: str, problem: Any) -> str:
    # pydantic names the branch of a union in the location; a person wrote none of these.
    location = [
        part
        for part in problem["loc"]
        if not re.match(r"(str|dict\[|constrained-str|function-)", str(part))
    ]
    key = ".".join(str(part) for part in location)
    line = _line_of(text, [str(part) for part in location])
    where = f"{path}:{line}: {key}" if line else f"{path}: {key}"
    match problem["type"]:
        case "extra_forbidden":
            known = _known_keys(location[:-1])
            close = difflib.get_close_matches(str(location[-1]), known, 1)
            advice = f"; did you mean '{close[0]}'?" if close else ""
            return f"{where}: unknown key, expected one of {', '.join(known)}{advice}"
        case "missing":
            return f"{where}: is missing, expected {_description(location)}"
        case "value_error":
            return f"{where}: {problem['ctx']['error']}"
        case _:
            rule = problem["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
            return f"{where}: is {problem['input']!r:.60}, expected {rule}"


def _table_at(location: list[Any]) -> type[BaseModel]:
    model: type[BaseModel] = Manifest
    for part in location:
        if isinstance(part, int):
            continue
        field = model.model_fields.get(str(part))
        if field is None:
            break
        # A table, a table that may be left out, or a list of tables.
        kinds = [field.annotation, *typing.get_args(field.annotation)]
        tables = (kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel))
        model = next(tables, model)
    return model


def _known_keys(location: list[Any]) -> list[str]:
    return sorted(_table_at(location).model_fields)


def _description(location: list[Any]) -> str:
    field = _table_at(location[:-1]).model_fields.get(str(location[-1]))
    if field is not None and field.description:
        return field.description.rstrip(".")
    return f"a table [{location[-1]}]"


def _line_of(text: str, location: list[str]) -> int | None:
    """Find the line a key stands on; tomllib 3.11 keeps no positions."""
    table, found = "", None
    names = [part for part in location if not part.isdigit()]
    for number, line in enumerate(text.splitlines(), start=1):
        header = re.match(r"\s*\[+\s*([\w.\"-]+)\s*\]+", line)
        if header:
            table = header[1]
            if names and table == ".".join(names):
                found = found or number
        key = re.match(r"\s*([\w\"-]+)\s*=", line)
        if (
            key
            and [*filter(None, table.split(".")), key[1].strip('"')]
            == names[: len(table.split(".")) + 1 if table else 1]
        ):
            return number
    return found
