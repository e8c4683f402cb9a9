"""Writes what is written from the code: three pages of docs/, and the schema of persona.toml.

`just pages` runs it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from builder.bases import table
from builder.manifest import schema
from tools import errors

ROOT = Path(__file__).parent.parent
FILES: dict[str, Callable[[], str]] = {
    "builder/manifest.schema.json": schema.write_schema,
    "docs/bases.md": table.write_page,
    "docs/errors.md": errors.write_page,
    "docs/manifest.md": schema.write_page,
}


def main() -> int:
    """Write each file that the code says otherwise than it is, and name it."""
    for name, write in FILES.items():
        path, text = ROOT / name, write()
        if path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
            print(name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
