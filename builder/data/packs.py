"""Packs: rows that ship with the package, and teach any persona its name and author."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from builder.manifest import packaged


def names() -> list[str]:
    """List the packs by name, such as "identity/en", in alphabetical order."""
    return packaged.list_packs()


def read(name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Read the rows of a pack, with their places."""
    lines = packaged.find_pack(name).read_text("utf-8").splitlines()
    for number, line in enumerate(lines, start=1):
        yield f"pack {name}: row {number}", json.loads(line)


def hash_content(name: str) -> str:
    """Hash the content of a pack, so that a changed pack makes stages stale."""
    return hashlib.sha256(packaged.find_pack(name).read_bytes()).hexdigest()[:12]
