"""A base: its source, its revisions, and its family."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from builder import files
from builder.bases import families
from builder.bases.family import Family
from builder.bases.licences import Licence
from builder.errors import NotBuiltError
from builder.tables import read_record

FACTS = "base.json"
EMBEDDED = "smollm2-135m-instruct"
# The embedded base on the hub.
EMBEDDED_REPOSITORY = "HuggingFaceTB/SmolLM2-135M-Instruct"
KINDS = f"{EMBEDDED}, a Hugging Face repository (owner/name) or a folder"
WITHOUT_HUB = f"--base {EMBEDDED} needs no network: it is installed"


@dataclass(frozen=True)
class Base:
    """The base of a build, as stored in `base/base.json`."""

    source: str
    kind: Literal["embedded", "hub", "folder"]
    revision: str
    """The revision of the 16-bit weights: a commit, a package's version, or a hash."""
    train_source: str
    """The repository that is trained on: Unsloth's 4-bit one if there is one, else *source*."""
    train_revision: str
    four_bit: bool
    family_name: str = ""
    """The name that `families.recognise` found; not used for the embedded base."""
    identity_words: tuple[str, ...] = ()
    """The base's names in the manifest, used if its family is not known."""

    @property
    def family(self) -> Family:
        """The record of its family."""
        if self.kind == "embedded":
            return families.SMOLLM2
        family = families.find(self.family_name)
        if family.is_derived:
            return replace(family, identity_words=tuple(self.identity_words))
        return family

    @property
    def repository(self) -> str | None:
        """Its repository on the hub; None for a base in a folder."""
        if self.kind == "embedded":
            return EMBEDDED_REPOSITORY
        return self.source if self.kind == "hub" else None

    @property
    def licence(self) -> Licence | None:
        """Its licence; None if it is not known, as for models made from a known base."""
        return families.find_licence(self.repository) if self.repository else None


def read(folder: Path) -> Base:
    """Read the base of a build.

    Raises:
        NotBuiltError: There is none yet, or this version cannot read it.

    """
    found = read_record(files.read_json(folder / FACTS), Base)
    if found is None:
        raise NotBuiltError(folder / FACTS, is_there=True)
    return found


def peek(folder: Path) -> dict[str, Any] | None:
    """Read base.json; None if it is missing or damaged."""
    found = read_record(files.read_json(folder / FACTS), Base)
    return None if found is None else asdict(found)
