"""The names of the packs that ship with the package."""

from __future__ import annotations

from pathlib import Path

from builder.escapes import quote
from builder.words import suggest

FOLDER = Path(__file__).parent.parent / "data" / "packs"
IDENTITY = "identity/"


def list_packs() -> list[str]:
    """List the names of the packs, such as "identity/en", in alphabetical order."""
    found = (path.relative_to(FOLDER).with_suffix("") for path in FOLDER.glob("*/*.jsonl"))
    return sorted(path.as_posix() for path in found)


def list_languages() -> list[str]:
    """List the codes of the languages that have a pack for name and author."""
    return [name.removeprefix(IDENTITY) for name in list_packs() if name.startswith(IDENTITY)]


def find_pack(name: str) -> Path:
    """Give the path of a pack."""
    return FOLDER / f"{name}.jsonl"


def check_packs(names: tuple[str, ...]) -> tuple[str, ...]:
    """Check the names of packs, and return them.

    Raises:
        ValueError: A pack does not exist, or is named twice.

    """
    known = list_packs()
    for number, name in enumerate(names):
        if name not in known:
            expected = f"one of {', '.join(known)}{suggest(name, known)}"
            raise ValueError(f"there is no pack {quote(name)}, expected {expected}")
        if name in names[:number]:
            raise ValueError(f"the pack {name!r} appears twice, expected it once")
    return names
