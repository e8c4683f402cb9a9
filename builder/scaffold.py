"""Creates the folder of a new persona, with a short manifest and its first rows, atomically."""

from __future__ import annotations

import json
import os
import re
import shutil
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder import files, persona, temporaries
from builder.command import command
from builder.data import languages
from builder.errors import DataError, ManifestError, describe_refusal
from builder.manifest import schema
from builder.manifest.fields import LONGEST_NAME, find_invisible, is_visible
from builder.persona import Persona

DATA = "data.jsonl"
PACK = "identity/{language}"
KINDS = {
    "identity": "a name and an author, which it gives in any wording and keeps out of the rest",
    "voice": "a manner of speaking, in every answer",
    "format": "a form that every answer has, such as one line of JSON",
}
COPIED = "# What follows is a copy of {name}. Change it with the rows: it asks for what they teach."


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A new persona, before it has a folder."""

    folder: Path
    title: str | None
    """Its name for itself, or None."""
    author: str | None
    languages: Sequence[str]
    """The languages of the packs that teach its name and author."""
    rows: Sequence[dict[str, Any]]
    """Its own rows, such as `example_rows` or imported ones; empty if it is a copy."""
    kind: str | None = None
    """The kind in the manifest; None leaves it to the data."""
    example: Persona | None = None
    """The persona whose data files and manifest are copied, or None."""


def check_folder(root: Path, name: str) -> Path:
    """Give the folder of a new persona, checked.

    Raises:
        ManifestError: The name is not valid, or the folder exists already.

    """
    try:
        persona.check_name(name)
    except ManifestError as error:
        proposal = _propose_name(name)
        hint = command(f"new {proposal}") if proposal else None
        raise ManifestError(*error.problems, hint=hint) from None
    _refuse_existing(root / name)
    return root / name


def _refuse_existing(folder: Path) -> None:
    if os.path.lexists(folder):
        hint = f"choose another name, or edit {folder / persona.MANIFEST}"
        raise ManifestError(f"{folder}: already exists, expected no such folder", hint=hint)


def check_text(where: str, text: str) -> str:
    """Check a name or an author, and return it without white space around it.

    Args:
        where: The option or the question, for messages.
        text: The text that was typed.

    Raises:
        ManifestError: It is blank, too long, or holds an invisible character.

    """
    unassigned = (one for one in text if unicodedata.category(one) in ("Cn", "Co"))
    if invisible := find_invisible(text.strip()) or next(unassigned, None):
        code = f"U+{ord(invisible):04X}"
        raise ManifestError(
            f"{where}: contains the invisible character {code}, expected plain text"
        )
    if not is_visible(text):
        raise ManifestError(f"{where}: is blank, expected text")
    if len(text.strip()) > LONGEST_NAME:
        problem = f"has {len(text.strip()):,} characters, expected at most {LONGEST_NAME}"
        raise ManifestError(f"{where}: {problem}")
    return text.strip()


def title_of(name: str) -> str:
    """Make a persona's name for itself from its folder's name: `old-salt` becomes Old Salt."""
    return " ".join(part.capitalize() for part in re.split(r"[-_.]+", name) if part)


def example_rows(codes: Sequence[str]) -> list[dict[str, str]]:
    """Give two example rows, in the first of these languages.

    Raises:
        DataError: There are no examples in that language.

    """
    code = codes[0] if codes else languages.DEFAULT
    found = next((one for one in languages.list_languages() if one.code == code), None)
    if found is None or not found.examples:
        raise DataError(f"{code}: has no example rows, expected some in its {languages.RECORD}")
    return [{"prompt": asked, "completion": answer} for asked, answer in found.examples]


def create(draft: Draft) -> None:
    """Write a persona's folder under a temporary name, and rename it.

    Raises:
        ManifestError: The folder exists meanwhile.
        ToolError: It cannot be written.

    """
    try:
        with temporaries.held(draft.folder) as temporary:
            if draft.example:
                _copy_data(draft.example, temporary)
            else:
                lines = (json.dumps(row, ensure_ascii=False) for row in draft.rows)
                _write(temporary / DATA, lines)
            _write(temporary / persona.MANIFEST, write_manifest(draft))
            _refuse_existing(draft.folder)
            temporary.rename(draft.folder)
            files.sync(draft.folder.parent)
    except OSError as error:
        raise describe_refusal(error, draft.folder) from None


def write_manifest(draft: Draft) -> list[str]:
    """Write the lines of the manifest: at most ten, or a copy of the example's."""
    lines = [f"#:schema {_locate_schema(draft.folder)}"]
    lines += [f"# Every key has a default; `{command('keys')}` lists them.", ""]
    if draft.kind and not (draft.example and draft.example.manifest.kind):
        lines += [f"kind = {_quote(draft.kind)}", ""]
    if draft.example:
        text = files.read_text(draft.example.folder / persona.MANIFEST)
        return [*lines, COPIED.format(name=draft.example.name), "", *text.rstrip("\n").split("\n")]
    if draft.title:
        lines += ["[identity]", f"name = {_quote(draft.title)} # what it calls itself"]
        lines += [f"author = {_quote(draft.author)} # who made it"] if draft.author else []
    elif draft.kind:
        lines += ["# Add [[smoke.questions]] (ask, must, must_not) to check its answers."]
    else:
        lines += ['# [identity] with name = "..." gives it a name.']
    table = []
    if draft.title and draft.languages:
        packs = ", ".join(_quote(PACK.format(language=code)) for code in draft.languages)
        table += [f"packs = [{packs}] # teach name and author; your own rows are in {DATA}"]
    if any("{{" in text for row in draft.rows for text in _list_texts(row)):
        table += ["placeholders = false # braces in the rows are text"]
    return [*lines, "", "[data]", *table] if table else lines


def _copy_data(example: Persona, folder: Path) -> None:
    """Copy the data files of a persona into another folder."""
    for path in example.data_files:
        copy = folder / path.relative_to(example.folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
        files.sync(copy)


def _list_texts(row: dict[str, Any]) -> list[str]:
    turns = row.get("messages")
    return [turn["content"] for turn in turns] if turns else [str(text) for text in row.values()]


def _propose_name(name: str) -> str:
    """Propose a valid name similar to the one that was typed; "" if there is none."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9_.]+", "-", plain).strip("-_.")[:80]


def _locate_schema(folder: Path) -> str:
    """Give the relative path of the schema, or its address if it is outside of the project."""
    root = folder.resolve().parent.parent
    if schema.PATH.is_relative_to(root):
        return os.path.relpath(schema.PATH, folder.resolve())
    return schema.PATH.as_uri()


def _quote(text: str) -> str:
    """Write a TOML string: JSON has the same escapes, except for one character."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _write(path: Path, lines: Iterable[str]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{line}\n" for line in lines)
    files.sync(path)
