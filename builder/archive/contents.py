"""Checks the consistency of an unpacked build before it is put in place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from builder import files, persona
from builder.archive import listing
from builder.archive.listing import CARRIED
from builder.archive.reader import Archive
from builder.bases import base
from builder.engine import stamps
from builder.engine.hashes import Hashes
from builder.errors import NotBuiltError, PersonaError, ToolError
from builder.project import Build
from builder.stages import smoke
from builder.tables import read_record

# The errors of a stage that reads a file it did not write.
UNREADABLE = (AttributeError, KeyError, OSError, RecursionError, TypeError, ValueError)


def check(archive: Archive, staged: Build, digests: dict[str, str]) -> None:
    """Check the manifest, base, outputs and stamps of an unpacked build against each other.

    Args:
        archive: The archive.
        staged: The build in the folders it was unpacked into.
        digests: The SHA-256 of each member, by its path in the archive.

    Raises:
        ToolError: A file is missing, unexpected, or does not match its stamp.
        ManifestError: The manifest is wrong.

    """
    with _named(archive, staged):
        staged = replace(staged, persona=persona.read(staged.persona.folder))
        if problems := [*_compare_persona(staged), *_compare_outputs(staged, digests)]:
            raise ToolError(*(f"{archive.path}: {problem}" for problem in problems))
        try:
            for stage in CARRIED:
                stage.inputs(staged)
        except UNREADABLE as error:
            what = f"a stage cannot read what it holds ({type(error).__name__})"
            raise ToolError(f"{archive.path}: {what}, expected what stages wrote") from None


@contextmanager
def _named(archive: Archive, staged: Build) -> Iterator[None]:
    """Name paths in the archive in messages, not those of the unpacked files."""
    names = {
        str(staged.persona.folder): f"{archive.path}: personas/{staged.name}",
        str(staged.folder): f"{archive.path}: build/{staged.name}",
    }
    try:
        yield
    except NotBuiltError as error:
        problem = f"{archive.path}: {error.path.name}: is missing, expected it in the archive"
        if error.is_there:
            where = f"build/{staged.name}/{error.path.relative_to(staged.folder)}"
            problem = f"{archive.path}: {where}: cannot be read, expected what this version writes"
        raise ToolError(problem) from None
    except PersonaError as error:
        problems = list(error.problems)
        for folder, name in names.items():
            problems = [problem.replace(folder, name) for problem in problems]
        raise type(error)(*problems, hint=error.hint) from None


def _compare_persona(staged: Build) -> list[str]:
    """Compare the persona's files with those in its manifest."""
    read = staged.persona
    named = {read.folder / persona.MANIFEST, *read.data_files}
    there = {file for file in read.folder.rglob("*") if file.is_file()}
    too_many = sorted(there - named - {staged.base_lock})
    problems = [
        f"{listing.shorten(file.name)}: is not part of the persona, expected persona.toml, "
        "base.lock and the data files that it names"
        for file in too_many
    ]
    lacking = sorted(named - there)
    return problems + [
        f"{listing.shorten(f.name)}: is missing, expected it in the archive" for f in lacking
    ]


def _compare_outputs(staged: Build, digests: dict[str, str]) -> list[str]:
    """Compare outputs with their stamps, and check that the base is available elsewhere."""
    hashes = Hashes(staged.folder)
    for path, digest in digests.items():
        hashes.remember(listing.find_place(path, staged), digest)
    problems = []
    for stage in CARRIED:
        output, stamp = stage.output(staged), stamps.read(staged.folder, stage.NAME)
        if not output.exists():
            if stamp or stage.NAME != smoke.NAME:
                problems.append(f"{output.name}: is missing, expected what {stage.NAME} wrote")
        elif stamp and hashes.of(output) != stamp.output:
            problems.append(f"{output.name}: is not what its stamp says, expected that")
    facts = read_record(files.read_json(staged.base / base.FACTS), base.Base)
    if facts is None or facts.kind == "folder":
        problems.append("base.json: names no base of the hub or the embedded one, expected one")
    return problems
