"""Reads an archive from an untrusted source, whose list and zip are checked before use."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from builder import files, progress
from builder.archive.listing import (
    LISTING,
    MOST_LISTING_BYTES,
    MOST_MEMBERS,
    SCHEMA,
    Listing,
    Member,
    shorten,
)
from builder.errors import ToolError

CHUNK_BYTES = 1 << 20
ENCRYPTED = 0x1  # of ZipInfo.flag_bits (PKWARE's APPNOTE.TXT, 4.4.4)
# The errors of zipfile for a file that is no zip, or is damaged.
DAMAGED = (
    zipfile.BadZipFile,
    EOFError,
    NotImplementedError,
    OverflowError,
    RuntimeError,
    ValueError,
    struct.error,
    zlib.error,
)


class Archive:
    """An open archive whose list matches its zip."""

    def __init__(self, path: Path, packed: zipfile.ZipFile) -> None:
        self.path, self._packed = path, packed
        self._check_members()
        self.listing = self._read_listing()
        self._compare()

    def extract(self, find_place: Callable[[str], Path]) -> dict[str, str]:
        """Extract all members, and return the digest of each, by its path in the archive.

        Args:
            find_place: Gives the path for a member, which must not exist.

        Raises:
            ToolError: A member is damaged, or does not match the list.

        """
        done_bytes, total_bytes = 0, self.listing.size_bytes
        with _explained(self.path):
            for member in self.listing.members:
                place = find_place(member.path)
                place.parent.mkdir(parents=True, exist_ok=True)
                self._extract(member, place)
                done_bytes += member.size_bytes
                progress.report("unpack", done_bytes // 1_000_000, total_bytes // 1_000_000, "MB")
        return {member.path: member.sha256 for member in self.listing.members}

    def _extract(self, member: Member, place: Path) -> None:
        digest = hashlib.sha256()
        with self._packed.open(member.path) as source, place.open("xb") as target:
            while chunk := source.read(CHUNK_BYTES):
                digest.update(chunk)
                target.write(chunk)
            target.flush()
            os.fsync(target.fileno())
        if digest.hexdigest() != member.sha256:
            raise self._refuse(
                f"{shorten(member.path)}: does not have the digest that {LISTING} says"
            )

    def _check_members(self) -> None:
        """Refuse members that are not regular files of a known size, by the zip's directory."""
        found = self._packed.infolist()
        if len(found) > MOST_MEMBERS:
            raise self._refuse(f"has {len(found):,} members, expected at most {MOST_MEMBERS:,}")
        if problems := [
            f"{shorten(one.orig_filename)}: {_tell(one)}" for one in found if _tell(one)
        ]:
            raise self._refuse(*problems)
        names = [one.filename for one in found]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise self._refuse(
                *(f"{shorten(name)}: appears twice, expected once" for name in twice)
            )
        # Overlapping members would be larger together than the file.
        size_bytes, have_bytes = sum(one.file_size for one in found), self.path.stat().st_size
        if size_bytes > have_bytes:
            raise self._refuse(
                f"declares {size_bytes:,} bytes in a file of {have_bytes:,}, expected fewer"
            )

    def _read_listing(self) -> Listing:
        if LISTING not in self._packed.namelist():
            raise self._refuse(f"contains no {LISTING}, expected what `pack` wrote")
        if self._packed.getinfo(LISTING).file_size > MOST_LISTING_BYTES:
            raise self._refuse(f"{LISTING}: is over {MOST_LISTING_BYTES:,} bytes, expected a list")
        try:
            values = json.loads(self._packed.read(LISTING))
            schema = values.get("schema") if isinstance(values, dict) else None
            if isinstance(schema, int) and schema != SCHEMA:
                raise self._refuse(
                    f"{LISTING}: has schema {schema}, expected {SCHEMA}",
                    hint="unpack it with the version of this project that packed it",
                )
            return Listing.model_validate(values)
        except (ValidationError, ValueError, RecursionError):
            msg = f"{LISTING}: is not whole, expected a persona's name and its members"
            raise self._refuse(msg) from None

    def _compare(self) -> None:
        """Compare the list with the zip."""
        packed = {one.filename: one.file_size for one in self._packed.infolist()}
        packed.pop(LISTING)
        listed = {member.path: member.size_bytes for member in self.listing.members}
        problems = [f"{shorten(name)}: is not in {LISTING}" for name in packed.keys() - listed]
        problems += [f"{shorten(name)}: is in {LISTING} alone" for name in listed.keys() - packed]
        for name in packed.keys() & listed:
            if packed[name] != listed[name]:
                what = f"is of {packed[name]:,} bytes, {LISTING} says {listed[name]:,}"
                problems.append(f"{shorten(name)}: {what}")
        if len(listed) < len(self.listing.members):
            problems.append(f"{LISTING}: names a member twice, expected once")
        if problems:
            raise self._refuse(*sorted(problems))

    def _refuse(self, *problems: str, hint: str | None = None) -> ToolError:
        return ToolError(*(f"{self.path}: {problem}" for problem in problems), hint=hint)


@contextmanager
def opened(path: Path) -> Iterator[Archive]:
    """Open an archive.

    Raises:
        ToolError: It is not an archive, is damaged, or holds what is not allowed.

    """
    try:
        files.check_file(path)
    except FileNotFoundError:
        raise ToolError(f"{path}: no such file, expected an archive") from None
    except ValueError as error:
        raise ToolError(str(error)) from None
    with _explained(path):
        packed = zipfile.ZipFile(path)
    with packed:
        with _explained(path):
            archive = Archive(path, packed)
        yield archive


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except DAMAGED as error:
        reason = shorten(str(error) or type(error).__name__)
        msg = f"{path}: cannot be read ({reason}), expected a whole archive of `pack`"
        raise ToolError(msg, hint="fetch it again") from None


def _tell(member: zipfile.ZipInfo) -> str:
    """Say why a member is not a regular file of a known size; "" if it is."""
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind == stat.S_IFLNK:
        return "is a link, expected a file"
    if kind not in (0, stat.S_IFREG) or member.is_dir():
        return "is a folder, a device or a pipe, expected a file"
    if member.flag_bits & ENCRYPTED:
        return "is encrypted, expected a plain file"
    if member.compress_type != zipfile.ZIP_STORED or member.compress_size != member.file_size:
        return "is compressed, expected a file as it is"
    return ""
