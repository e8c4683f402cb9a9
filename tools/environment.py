"""Makes `.venv` and installs requirements.lock into it; does nothing when it is done already.

Runs before `.venv` exists: standard library only, and it speaks on stderr alone.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

LOCK = Path("requirements.lock")
VENV = Path(".venv")
DONE = VENV / "requirements.sha256"
DISK_BYTES = 10 * 10**9  # 8.2 GB installed, and what is unpacked on the way
LOWEST_PYTHON = (3, 11)


def main() -> int:
    """Install what the lock says, unless it is there; return an exit code."""
    wanted = hash_lock()
    if is_done(wanted):
        return 0
    problems = find_problems()
    for problem in problems:
        say(f"error: {problem}")
    if problems:
        return 1
    with Path(".venv.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        return 0 if is_done(wanted) else install(wanted)


def hash_lock() -> str:
    """Hash what is to be installed."""
    return hashlib.sha256(LOCK.read_bytes()).hexdigest()


def is_done(wanted: str) -> bool:
    """Say whether `.venv` holds exactly the lock."""
    return DONE.is_file() and DONE.read_text() == wanted and (VENV / "bin" / "python").exists()


def find_problems() -> list[str]:
    """Find what would stop the installation, before anything is downloaded."""
    problems = []
    if sys.version_info < LOWEST_PYTHON:
        problems.append(
            f"python3 is {sys.version.split()[0]}, expected 3.11 or newer; install one and "
            "put it first on PATH"
        )
    if not shutil.which("uv"):
        problems.append("uv is not on PATH, expected it; pip install uv")
    if not any(shutil.which(name) for name in ("c++", "g++", "clang++")):
        problems.append(
            "no C++ compiler is on PATH, expected one for llama.cpp; on Debian: apt install "
            "build-essential"
        )
    free_bytes = shutil.disk_usage(Path.cwd()).free
    if free_bytes < DISK_BYTES:
        problems.append(
            f"{free_bytes / 1e9:.1f} GB of disk are free, expected {DISK_BYTES / 1e9:.0f} GB"
        )
    return problems


def install(wanted: str) -> int:
    """Make the environment; uv shows each download and build as it goes."""
    say(
        "setting up .venv, once: about 8 GB of disk and some minutes, most of them compiling "
        "llama.cpp"
    )
    DONE.unlink(missing_ok=True)
    environment = {
        **os.environ,
        "CMAKE_ARGS": os.environ.get(
            "CMAKE_ARGS", f"-DGGML_NATIVE={find_native()} -DLLAVA_BUILD=OFF"
        ),
        "CMAKE_BUILD_PARALLEL_LEVEL": str(os.cpu_count() or 1),
    }
    if code := make_venv():
        return code
    command = [
        "uv",
        "pip",
        "sync",
        "-q",
        "--require-hashes",
        "--compile-bytecode",
        "--python",
        str(VENV / "bin" / "python"),
        str(LOCK),
    ]
    command.remove("-q") if sys.stderr.isatty() else None
    if code := run(command, environment):
        return code
    DONE.write_text(wanted)
    return 0


def make_venv() -> int:
    """Make an environment without libraries; return an exit code."""
    return run(["uv", "venv", "-q", "--allow-existing", "--python", sys.executable, str(VENV)])


def find_native() -> str:
    """Say whether llama.cpp is compiled for this CPU alone: OFF, but for an old one.

    An x86 without AVX2 must compile for itself; elsewhere a portable build can be cached.
    """
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else "avx2"
    return "OFF" if "avx2" in flags or "asimd" in flags else "ON"


def run(command: list[str], environment: dict[str, str] | None = None) -> int:
    """Run a command of uv; return an exit code."""
    environment = {**(environment or os.environ), "UV_PYTHON_DOWNLOADS": "never"}
    code = subprocess.run(command, env=environment, stdout=sys.stderr, check=False).returncode
    if not code:
        return 0
    say(f"error: {' '.join(command[:3])} ended with {code}; what it said is above")
    return 1


def say(text: str) -> None:
    """Print a line for the person."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
