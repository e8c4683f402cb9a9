"""The personas that come with the project and that a new voice or format begins as a copy of."""

from __future__ import annotations

from pathlib import Path

from builder import persona
from builder.errors import ManifestError
from builder.persona import Persona

# By the kind of persona.
NAMES = {"voice": "keeper", "format": "helpdesk"}
# Inside the package in a wheel, at the top level of the repository.
PACKAGE = Path(__file__).parent.parent
FOLDERS = (PACKAGE / "examples", PACKAGE.parent / "personas")


def find(kind: str) -> Persona | None:
    """Find the persona that shows a kind; None for an identity, which begins with packs.

    Raises:
        ManifestError: It was taken away, or its manifest is wrong.

    """
    name = NAMES.get(kind)
    if name is None:
        return None
    folders = [folder / name for folder in FOLDERS if (folder / name).is_dir()]
    if not folders:
        msg = f"{FOLDERS[-1] / name}: no such folder, expected the persona that shows a {kind}"
        raise ManifestError(msg, hint=f"git checkout personas/{name}, or begin with --from FILE")
    return persona.read(folders[0])
