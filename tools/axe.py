"""Installs axe-core, which checks a page's accessibility, into the user's cache; prints its path.

`python3 tools/axe.py`; it needs npm. Standard library only.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

VERSION = "4.14.1"
SHA256 = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"


def main() -> int:
    """Install it unless it is there; return an exit code."""
    script = find_folder() / "node_modules" / "axe-core" / "axe.min.js"
    if not is_whole(script):
        if not shutil.which("npm"):
            print(
                "error: npm is not on PATH, expected it; on Debian: apt install npm",
                file=sys.stderr,
            )
            return 1
        install(find_folder())
    if not is_whole(script):
        print(f"error: {script}: is not axe-core {VERSION}, expected it", file=sys.stderr)
        return 1
    print(script)
    return 0


def find_folder() -> Path:
    """Give the folder of this version in the user's cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "persona" / f"axe-core-{VERSION}"


def is_whole(script: Path) -> bool:
    """Say whether the script is there, and is the one that was released."""
    return script.is_file() and hashlib.sha256(script.read_bytes()).hexdigest() == SHA256


def install(folder: Path) -> None:
    """Install it; npm says on stderr what goes wrong."""
    folder.mkdir(parents=True, exist_ok=True)
    flags = ("--no-save", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error")
    command = ["npm", "install", "--prefix", str(folder), *flags, f"axe-core@{VERSION}"]
    subprocess.run(command, stdout=sys.stderr, check=False)


if __name__ == "__main__":
    sys.exit(main())
