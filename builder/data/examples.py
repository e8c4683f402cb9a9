"""The personas that come with the project, which new voices and formats are copied from."""

from __future__ import annotations

from pathlib import Path

from builder import persona
from builder.errors import ManifestError
from builder.persona import Persona

# By the kind of persona.
NAMES = {"voice": "keeper", "format": "helpdesk"}
# Inside the package in a wheel, or else at the top of the repository.
PACKAGE = Path(__file__).parent.parent
FOLDERS = (PACKAGE / "examples", PACKAGE.parent / "personas")


def find(kind: str) -> Persona | None:
    """Find the example of a kind; None for an identity, which begins with packs.

    Raises:
        ManifestError: It was removed, or its manifest is wrong.

    """
    name = NAMES.get(kind)
    if name is None:
        return None
    folders = [folder / name for folder in FOLDERS if (folder / name).is_dir()]
    if not folders:
        msg = f"{FOLDERS[-1] / name}: no such folder, expected the persona that shows a {kind}"
        raise ManifestError(msg, hint=f"git checkout personas/{name}, or begin with --from FILE")
    return persona.read(folders[0])
