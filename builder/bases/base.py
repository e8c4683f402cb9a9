"""A base: where it comes from, at which revisions, and of which family it is."""

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
# What the embedded base is on the hub.
EMBEDDED_REPOSITORY = "HuggingFaceTB/SmolLM2-135M-Instruct"
KINDS = f"{EMBEDDED}, a Hugging Face repository (owner/name) or a folder"
WITHOUT_HUB = f"--base {EMBEDDED} needs no network: it is installed"


@dataclass(frozen=True)
class Base:
    """The base a build grew from; what `base/base.json` holds."""

    source: str
    kind: Literal["embedded", "hub", "folder"]
    revision: str
    """Of the 16-bit weights: a commit, a package's version, or a hash."""
    train_source: str
    """What is trained on: the 4-bit sibling where Unsloth has one, else *source*."""
    train_revision: str
    four_bit: bool
    family_name: str = ""
    """As `families.recognise` named it; of the embedded base it is known."""
    identity_words: tuple[str, ...] = ()
    """What the manifest says it calls itself, where its family is not known."""

    @property
    def family(self) -> Family:
        """What is known of its family."""
        if self.kind == "embedded":
            return families.SMOLLM2
        family = families.find(self.family_name)
        if family.is_derived:
            return replace(family, identity_words=tuple(self.identity_words))
        return family

    @property
    def repository(self) -> str | None:
        """Its repository on the hub; None of a base in a folder."""
        if self.kind == "embedded":
            return EMBEDDED_REPOSITORY
        return self.source if self.kind == "hub" else None

    @property
    def licence(self) -> Licence | None:
        """Its licence; None where it is not known, as of what somebody made of a known base."""
        return families.find_licence(self.repository) if self.repository else None


def read(folder: Path) -> Base:
    """Read the base a build grew from.

    Raises:
        NotBuiltError: There is none yet, or it is none that this version reads.

    """
    found = read_record(files.read_json(folder / FACTS), Base)
    if found is None:
        raise NotBuiltError(folder / FACTS, is_there=True)
    return found


def peek(folder: Path) -> dict[str, Any] | None:
    """Read base.json if it is there and whole."""
    found = read_record(files.read_json(folder / FACTS), Base)
    return None if found is None else asdict(found)
