"""Sets the project up in a notebook: `python3 tools/notebook.py KEPT SCRATCH`.

A notebook has a small folder that is kept for its next run, and a large one that is not. `.venv`
goes into SCRATCH. The wheels that had to be compiled (llama.cpp) are copied to KEPT, and the next
run installs them from there. Standard library only.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

if __package__:  # imported, not run
    from tools import environment
else:
    import environment

# Colab sets these for its own Python; they would bend what requirements.lock says.
PRESET = ("UV_BUILD_CONSTRAINT", "UV_CONSTRAINT", "UV_PRERELEASE", "UV_SYSTEM_PYTHON")
# Below uv's cache: what it built from source distributions.
BUILT = "sdists-*/**/*.whl"


def main(arguments: list[str]) -> int:
    """Set up what is missing; return an exit code."""
    if len(arguments) != 2:
        environment.say("usage: python3 tools/notebook.py KEPT SCRATCH")
        return 2
    kept, scratch = (Path(argument).absolute() for argument in arguments)
    if environment.is_done(environment.hash_lock()):
        return 0
    for name in PRESET:
        os.environ.pop(name, None)
    cache = Path(os.environ.setdefault("UV_CACHE_DIR", str(scratch / "uv")))
    link_environment(scratch / "venv")
    wheels = list(list_locked(kept.glob("*.whl"), environment.LOCK.read_text("utf-8")))
    if wheels:
        install(wheels)
    if code := environment.main():
        return code
    if environment.find_native() == "OFF":  # else the wheels are for this CPU alone
        keep(cache.glob(BUILT), kept)
    return 0


def link_environment(target: Path) -> None:
    """Let `.venv` be a link to a folder, which need not be there any more."""
    target.mkdir(parents=True, exist_ok=True)
    if environment.VENV.is_symlink():
        environment.VENV.unlink()
    if not environment.VENV.exists():
        environment.VENV.symlink_to(target, target_is_directory=True)


def list_locked(wheels: Iterator[Path], lock: str) -> Iterator[Path]:
    """List the wheels whose name and version the lock has."""
    locked = {
        (name.lower().replace("-", "_"), version)
        for name, version in re.findall(r"^([\w.-]+)==([^\s;\\]+)", lock, re.MULTILINE)
    }
    for wheel in sorted(wheels):
        name, version, *_ = wheel.name.split("-")
        if (name.lower(), version) in locked:
            yield wheel


def install(wheels: list[Path]) -> None:
    """Install wheels into `.venv`, where what the lock says is then found; else it is compiled."""
    names = ["==".join(wheel.name.split("-")[:2]) for wheel in wheels]
    environment.say(f"from the last run: {', '.join(names)}")
    code = environment.make_venv()
    python = str(environment.VENV / "bin" / "python")
    command = ["uv", "pip", "install", "-q", "--no-deps", "--python", python, *map(str, wheels)]
    if code or subprocess.run(command, stdout=sys.stderr, check=False).returncode:
        environment.say("they do not fit this machine, and are made anew")


def keep(wheels: Iterator[Path], kept: Path) -> None:
    """Copy wheels for the next run."""
    kept.mkdir(parents=True, exist_ok=True)
    for wheel in wheels:
        shutil.copy2(wheel, kept / wheel.name)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
