"""Puts the files of an archive in place, all or nothing; old files are kept until then."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from builder import disk, files, last_build, persona
from builder.archive import contents, listing, reader
from builder.archive.listing import CARRIED
from builder.archive.reader import Archive
from builder.engine import stamps
from builder.engine.hashes import Hashes
from builder.engine.lock import delete, locked
from builder.errors import (
    ManifestError,
    ToolError,
    describe_refusal,
)
from builder.manifest.manifest import Manifest
from builder.persona import Persona
from builder.project import RECEIPT, Build, Project

log = logging.getLogger("builder")
# In the build's folder and in personas/: the folder of unpacked files, and that of replaced ones.
STAGING, NEW, OLD = persona.UNPACKING, "new", persona.REPLACED
# In personas/: what a killed unpacking had replaced, if the user has written new files since.
KEPT = ".replaced"


@dataclass(frozen=True)
class Place:
    """The paths of something new, of its target, and of what it replaces."""

    new: Path
    target: Path
    old: Path


def unpack(source: Path, project: Project, *, is_replacing: bool) -> Build:
    """Check an archive, and put its persona and build in place.

    Args:
        source: The archive.
        project: The project.
        is_replacing: Whether to replace a persona and a build of that name; they are restored
            if anything fails.

    Raises:
        ToolError: The archive is damaged or inconsistent, the name is taken, or there is no room.
        ManifestError: Its persona's manifest is wrong.

    """
    with reader.opened(source) as archive:
        build = _plan_build(archive, project)
        if problems := listing.find_problems([m.path for m in archive.listing.members], build):
            raise ToolError(*(f"{source}: {problem}" for problem in problems))
        try:
            return _unpack_into(build, archive, project, is_replacing=is_replacing)
        except OSError as error:
            raise describe_refusal(error, build.folder) from error


def _plan_build(archive: Archive, project: Project) -> Build:
    """Make a build for the archive's name, before its manifest is read."""
    try:
        name = persona.check_name(archive.listing.persona)
    except ManifestError as error:
        raise ToolError(f"{archive.path}: {error}") from None
    planned = Persona(name=name, folder=project.root / "personas" / name, manifest=Manifest())
    template = files.find_template(project.root)
    return Build(planned, project.root / "build" / name, template)


def _unpack_into(build: Build, archive: Archive, project: Project, *, is_replacing: bool) -> Build:
    with locked(build.folder):
        _recover(build)
        was_there = last_build.holds_any(build.folder)
        try:
            if not is_replacing:
                _refuse_taken(build)
            need_bytes = archive.listing.size_bytes
            disk.check_room(build.folder, need_bytes, str(archive.path), hint="free some disk")
            with _staging(build) as staged:
                digests = archive.extract(lambda path: listing.find_place(path, staged))
                contents.check(archive, staged, digests)
                files.write_json(staged.arrival, {"schema": 1})
                _swap(_list_stamps(staged, build), _list_places(staged, build))
            _remember(build, digests, project)
        except BaseException:
            if not was_there:
                delete(build.folder, kept=RECEIPT)
            raise
    return project.build(build.name)


def _refuse_taken(build: Build) -> None:
    taken = [build.persona.folder] if os.path.lexists(build.persona.folder) else []
    taken += [build.folder] if last_build.holds_any(build.folder) else []
    if taken:
        raise ToolError(
            *(f"{folder}: already exists, expected no {build.name}" for folder in taken),
            hint="--replace puts the archive's in its place",
        )


@contextmanager
def _staging(build: Build) -> Iterator[Build]:
    """Give a build in temporary folders beside the real ones."""
    folders, staged = _staging_folders(build), _stage(build)
    for folder in (*folders, staged.folder):
        folder.mkdir(parents=True)
    try:
        yield staged
    finally:
        for folder in folders:
            files.remove(folder)


def _stage(build: Build) -> Build:
    inner, beside = _staging_folders(build)
    read = build.persona.model_copy(update={"folder": beside / build.name})
    return replace(build, folder=inner / NEW, persona=read)


def _recover(build: Build) -> None:
    """Clean up after a killed unpacking: what it was replacing is restored.

    A persona that the user has written since is kept, and the replaced one is kept beside it.
    """
    staged = _stage(build)
    _keep_both(_place_persona(build))
    _restore([*_list_places(staged, build), *_list_stamps(staged, build)])
    for folder in _staging_folders(build):
        files.remove(folder)


def _keep_both(place: Place) -> None:
    """Keep the replaced persona beside the present one, if the user has written that since."""
    if not (os.path.lexists(place.old) and os.path.lexists(place.target)):
        return
    swapped_ns = place.old.parent.stat().st_mtime_ns
    is_edited = any(path.lstat().st_ctime_ns > swapped_ns for path in place.target.rglob("*"))
    if os.path.lexists(place.new) or is_edited:
        stem, number = f".{place.target.name}{KEPT}", 1
        while os.path.lexists(kept := place.target.with_name(f"{stem}-{number}")):
            number += 1
        place.old.rename(kept)
        log.warning(
            "%s: was written after an unpacking that was killed, and stays; what was there before "
            "it is in %s",
            place.target,
            kept,
        )


def _staging_folders(build: Build) -> tuple[Path, Path]:
    """Give the temporary folders on the file systems of the build and of the persona."""
    beside = build.persona.folder.with_name(f".{build.name}{STAGING}")
    return build.folder / STAGING, beside


def _list_stamps(staged: Build, build: Build) -> list[Place]:
    return [
        _place(
            stamps.path(staged.folder, stage.NAME), stamps.path(build.folder, stage.NAME), staged
        )
        for stage in CARRIED
    ]


def _list_places(staged: Build, build: Build) -> list[Place]:
    """List what is swapped, including files about the old model that are not in the archive."""
    pairs = [(stage.output(staged), stage.output(build)) for stage in CARRIED]
    pairs += [
        (
            stamps.failure_path(staged.folder, stage.NAME),
            stamps.failure_path(build.folder, stage.NAME),
        )
        for stage in CARRIED
    ]
    for name in ("base_choice", "arrival", "gates", "report", "merged"):
        pairs.append((getattr(staged, name), getattr(build, name)))
    places = [_place(new, target, staged) for new, target in pairs]
    return [*places, _place_persona(build)]


def _place_persona(build: Build) -> Place:
    _, beside = _staging_folders(build)
    return Place(beside / build.name, build.persona.folder, beside / OLD)


def _place(new: Path, target: Path, staged: Build) -> Place:
    return Place(new, target, staged.folder.with_name(OLD) / new.relative_to(staged.folder))


def _swap(stamps: list[Place], places: list[Place]) -> None:
    """Replace old files with new ones; stamps are removed first and written last.

    The old files are restored if anything fails. After a crash the build reads "never built" until
    the next unpacking restores them.
    """
    placed = []
    try:
        for place in [*stamps, *places]:
            if os.path.lexists(place.target):
                place.old.parent.mkdir(parents=True, exist_ok=True)
                place.target.rename(place.old)
        for place in [*places, *stamps]:
            if os.path.lexists(place.new):
                place.target.parent.mkdir(parents=True, exist_ok=True)
                place.new.rename(place.target)
                placed.append(place)
        for folder in {place.target.parent for place in placed}:
            files.sync(folder)
    except BaseException:
        for place in reversed(placed):
            files.remove(place.target)
        _restore([*places, *stamps])
        raise


def _restore(places: list[Place]) -> None:
    """Restore the old files."""
    for place in places:
        if os.path.lexists(place.old):
            files.remove(place.target)
            place.old.rename(place.target)


def _remember(build: Build, digests: dict[str, str], project: Project) -> None:
    """Add the digests of the unpacked files to the cache, so that they are not hashed again."""
    hashes = Hashes(build.folder)
    for path, digest in digests.items():
        hashes.remember(project.root / path, digest)
    hashes.save()
