"""Writes a fresh build as an archive, a zip without compression."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path

from builder import __version__, disk, files, progress
from builder.archive import listing
from builder.archive.listing import CARRIED, LISTING, SCHEMA, Listing, Member
from builder.command import command
from builder.engine import freshness
from builder.engine.hashes import Hashes
from builder.engine.lock import locked
from builder.engine.stage import Stage
from builder.errors import NotBuiltError, ToolError
from builder.project import Build
from builder.stages import smoke

CHUNK_BYTES = 1 << 20
# The first time that a zip can hold, so that equal builds give equal archives.
TIME = (1980, 1, 1, 0, 0, 0)
MODE = 0o100644  # a regular file


def write(build: Build, out: Path) -> Listing:
    """Write a build and its persona into one file.

    Args:
        build: The build, whose stages must be fresh; only the smoke stage may be stale, and is
            then left out.
        out: The file; an archive there is replaced.

    Raises:
        ToolError: The build is not finished, its base is in a folder, or there is no room.

    """
    # Reading a pipe would never end, and reading /dev/full would fill the memory.
    if out.exists() and not (out.is_file() and zipfile.is_zipfile(out)):
        msg = f"{out}: exists and is not an archive, expected a new file"
        raise ToolError(msg, hint="give another name with --output")
    with locked(build.folder):
        hashes = Hashes(build.folder)
        found = listing.list_files(build, _find_fresh(build, hashes))
        hashes.save()
        _check(build, found, out)
        with files.replacing(out) as temporary:
            return _write(build.name, found, temporary)


def _find_fresh(build: Build, hashes: Hashes) -> list[Stage]:
    """Find the stages whose outputs are archived: all, or all but the smoke stage."""
    fresh = []
    for stage in CARRIED:
        try:
            reasons = freshness.find_reasons(stage, build, hashes)
        except NotBuiltError as error:
            reasons = [f"{error.path} is missing"]
        if reasons and stage.NAME != smoke.NAME:
            msg = f"{build.folder}: {stage.NAME} is stale ({reasons[0]}), expected a finished build"
            raise ToolError(msg, hint=command(f"build {build.name}"))
        if not reasons:
            fresh.append(stage)
    return fresh


def _check(build: Build, found: dict[str, Path], out: Path) -> None:
    base = build.read_base()
    if base.kind == "folder":
        msg = f"{build.folder}: is built on the folder {base.source}, which other machines lack"
        raise ToolError(f"{msg}, expected a base of the hub or the embedded one")
    if problems := listing.find_problems(list(found), build):
        raise ToolError(*problems, hint="give the file a plain name")
    need_bytes = sum(path.stat().st_size for path in found.values())
    disk.check_room(out.absolute().parent, need_bytes, "the archive", hint="free some disk")


def _write(name: str, found: dict[str, Path], out: Path) -> Listing:
    total_bytes, done_bytes = sum(path.stat().st_size for path in found.values()), 0
    members = []
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for path, file in found.items():
            member = _write_member(archive, path, file)
            members.append(member)
            done_bytes += member.size_bytes
            progress.report("pack", done_bytes // 1_000_000, total_bytes // 1_000_000, "MB")
        made = Listing(schema=SCHEMA, persona=name, program=__version__, members=tuple(members))
        text = json.dumps(made.model_dump(by_alias=True), indent=1, ensure_ascii=False)
        archive.writestr(_describe(LISTING), text + "\n")
    return made


def _write_member(archive: zipfile.ZipFile, path: str, file: Path) -> Member:
    """Write a file, and hash it on the way."""
    digest, size_bytes = hashlib.sha256(), 0
    described = _describe(path)
    described.file_size = file.stat().st_size  # needed in advance for members over 2 GiB
    with file.open("rb") as source, archive.open(described, "w") as target:
        while chunk := source.read(CHUNK_BYTES):
            digest.update(chunk)
            target.write(chunk)
            size_bytes += len(chunk)
    return Member(path=path, size_bytes=size_bytes, sha256=digest.hexdigest())


def _describe(path: str) -> zipfile.ZipInfo:
    described = zipfile.ZipInfo(path, TIME)
    described.external_attr = MODE << 16
    return described
