"""What is known of each persona of a project from its files alone, without running anything."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder import files, persona


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One persona, and what its last build left.

    Attributes:
        name: The folder's name.
        built: Whether a finished file is there that was examined.
        base: The repository or folder of the base that it was built from, or None.
        model: The name under which it was last registered with Ollama, or None.
        let_through: The gates that failed and were let through by --anyway.

    """

    name: str
    built: bool
    base: str | None
    model: str | None
    let_through: list[str]

    @property
    def line(self) -> str:
        """The persona on one line of `persona list`."""
        gates = ", ".join(self.let_through)
        return f"{self.name}\tlet through by --anyway: {gates}" if gates else self.name


def read(root: Path) -> Iterator[Entry]:
    """Read the personas of a project, in alphabetical order of their names."""
    for name in persona.find(root / "personas"):
        build = root / "build" / name
        receipt = _read_table(build / "registered.json")
        gates = receipt.get("let_through")
        yield Entry(
            name=name,
            built=(build / "model.gguf").is_file() and (build / "smoke.json").is_file(),
            base=_read_table(build / "base" / "base.json").get("source"),
            model=receipt.get("model"),
            let_through=[str(gate) for gate in gates] if isinstance(gates, list) else [],
        )


def list_builds(root: Path) -> list[str]:
    """Name the builds of a project in alphabetical order, those without a persona too."""
    return sorted(path.name for path in (root / "build").glob("*") if path.is_dir())


def _read_table(path: Path) -> dict[str, Any]:
    """Read a JSON object; an empty one where there is none, or it is damaged."""
    value = files.read_json(path)
    return value if isinstance(value, dict) else {}
