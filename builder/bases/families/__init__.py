"""The table of families of bases, one record each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from builder.bases.facts import read_eos
from builder.bases.families import (
    gemma,
    granite,
    lfm,
    llama,
    mistral,
    olmo,
    phi,
    qwen,
    smollm,
)
from builder.bases.families.smollm import CHATML_GO, SMOLLM2
from builder.bases.family import Family, Repository, derive
from builder.bases.licences import Licence

__all__ = [
    "CHATML_GO",
    "COMMON_PARAMETERS",
    "FAMILIES",
    "SMOLLM2",
    "Family",
    "find",
    "find_by_repository",
    "find_licence",
    "read_eos",
    "recognise",
]

# Publishes copies of other makers' weights, under their names and licences.
COPIER = "unsloth"

COMMON_PARAMETERS: dict[str, Any] = {
    "temperature": 0.7,
    "top_p": 0.9,
    "top_k": 40,
    "min_p": 0.0,
    "repeat_penalty": 1.0,
    "num_ctx": 4096,
}

FAMILIES: tuple[Family, ...] = (
    *qwen.FAMILIES,
    *llama.FAMILIES,
    *gemma.FAMILIES,
    *mistral.FAMILIES,
    *smollm.FAMILIES,
    *granite.FAMILIES,
    *phi.FAMILIES,
    *lfm.FAMILIES,
    *olmo.FAMILIES,
)


def find(name: str) -> Family:
    """Find a family by its name in base.json; a family that is not in the table is derived."""
    known = (family for family in FAMILIES if family.name == name)
    return next(known, None) or derive(name.partition("(")[2].rstrip(")"))


def find_licence(repository: str) -> Licence | None:
    """Find the licence of a repository in the table, or of Unsloth's copy of one; else None.

    A model that somebody made from one may have another licence.
    """
    found = _find_known(repository)
    return found[0].find_licence(found[1]) if found else None


def find_by_repository(repository: str) -> Family | None:
    """Find the family of a repository in the table, or of Unsloth's copy of one."""
    found = _find_known(repository)
    return found[0] if found else None


def _find_known(repository: str) -> tuple[Family, Repository] | None:
    for family in FAMILIES:
        for known in family.repositories:
            copy = f"{COPIER}/{known.name.partition('/')[2]}"
            if repository in (known.name, known.four_bit, copy):
                return family, known
    return None


def recognise(config: Mapping[str, Any], end_of_turn: str) -> Family:
    """Recognise a checkpoint's family by its config.json and its end-of-turn token.

    A family that is not in the table is derived: it has no identity words, and its name says so.
    """
    matching = (f for f in FAMILIES if f.signs and f.signs.match(config, end_of_turn))
    return next(matching, None) or derive(str(config.get("model_type") or ""))
