"""The packs of rows that ship with the package: their names, which the manifest is checked by."""

from __future__ import annotations

import difflib
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "data" / "packs"
IDENTITY = "identity/"


def list_packs() -> list[str]:
    """List the packs by name, such as "identity/en", in alphabetical order."""
    found = (path.relative_to(FOLDER).with_suffix("") for path in FOLDER.glob("*/*.jsonl"))
    return sorted(path.as_posix() for path in found)


def list_languages() -> list[str]:
    """List the codes of the languages in which a pack teaches name and author."""
    return [name.removeprefix(IDENTITY) for name in list_packs() if name.startswith(IDENTITY)]


def find_pack(name: str) -> Path:
    """Give the file of a pack."""
    return FOLDER / f"{name}.jsonl"


def check_packs(names: tuple[str, ...]) -> tuple[str, ...]:
    """Give back the names of packs, checked.

    Raises:
        ValueError: One is not there, or stands twice.

    """
    known = list_packs()
    for number, name in enumerate(names):
        if name not in known:
            close = difflib.get_close_matches(name, known, 1)
            advice = f"; did you mean '{close[0]}'?" if close else ""
            raise ValueError(
                f"there is no pack {name!r}, expected one of {', '.join(known)}{advice}"
            )
        if name in names[:number]:
            raise ValueError(f"the pack {name!r} stands twice, expected it once")
    return names
