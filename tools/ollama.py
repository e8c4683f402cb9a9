"""Builds a real Ollama from source into the user's cache, and serves it.

`python3 tools/ollama.py build|serve|path`. Standard library only.

Ollama itself is one Go program. What runs a GGUF is llama.cpp's `llama-server` and
`llama-quantize`, which it looks for in `lib/ollama` beside `bin`; they are built from the tree
inside llama-cpp-python's source distribution, so that the daemon and the smoke stage run one
llama.cpp.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

VERSION = "0.34.2"
LOCK = Path(__file__).parent.parent / "requirements.lock"
PROGRAMS = ("llama-server", "llama-quantize")
# Without these the build would fetch a web page, or want libraries that nothing here uses.
FLAGS = (
    "CMAKE_BUILD_TYPE=Release",
    "GGML_NATIVE=OFF",
    "BUILD_SHARED_LIBS=ON",
    "CMAKE_BUILD_RPATH_USE_ORIGIN=ON",
    "LLAMA_CURL=OFF",
    "LLAMA_OPENSSL=OFF",
    "LLAMA_BUILD_UI=OFF",
    "LLAMA_USE_PREBUILT_UI=OFF",
    "LLAMA_BUILD_TESTS=OFF",
    "LLAMA_BUILD_EXAMPLES=OFF",
    "LLAMA_BUILD_APP=OFF",
)


class BuildError(Exception):
    """A sentence for the person."""


def main(arguments: list[str]) -> int:
    """Do what is asked; return an exit code."""
    try:
        match arguments:
            case ["build"]:
                folder = build()
                say(
                    f"Ollama {VERSION} is in {folder}",
                    "start it:        just serve",
                    f'put it on PATH:  export PATH="{folder / "bin"}:$PATH"',
                )
            case ["serve"]:
                binary = str(build() / "bin" / "ollama")
                os.execvpe(binary, [binary, "serve"], {**os.environ, "OLLAMA_NO_CLOUD": "1"})  # noqa: S606
            case ["path"]:
                print(build() / "bin" / "ollama")
            case _:
                say("usage: ollama.py build|serve|path")
                return 2
    except BuildError as error:
        say(f"error: {error}")
        return 1
    return 0


def target() -> Path:
    """Name the folder by everything the result depends on, the CPU included."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "persona" / f"ollama-{VERSION}-llama-{llama_pin()[0]}-{processor()}"


def llama_pin() -> tuple[str, list[str]]:
    """Read llama-cpp-python's version and hashes from the lock."""
    found = re.search(
        r"^llama-cpp-python==(\S+)((?: *\\\n +--hash=\S+)+)", LOCK.read_text(), re.MULTILINE
    )
    if not found:
        raise BuildError(f"{LOCK}: has no llama-cpp-python, expected it; run `just lock`")
    return found[1], re.findall(r"sha256:([0-9a-f]{64})", found[2])


def processor() -> str:
    """Name the CPU by what compiled code may use."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        text = platform.processor()
    flags = next(
        (line for line in text.splitlines() if line.startswith(("flags", "Features"))), text
    )
    return f"{platform.machine()}-{hashlib.sha256(flags.encode()).hexdigest()[:8]}"


def build() -> Path:
    """Build what is not there yet, and return the folder."""
    folder = target()
    if (folder / "done").exists():
        return folder
    for tool, install in (
        ("go", "the Go toolchain (go.dev/dl, 1.26 or newer)"),
        ("cmake", "CMake"),
        ("c++", "a C++ compiler"),
        ("uv", "uv (pip install uv)"),
    ):
        if not shutil.which(tool):
            raise BuildError(
                f"{tool} is not on PATH, expected {install}; or get Ollama itself at "
                "ollama.com/download"
            )
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        logs = folder.parent / f"{folder.name}.log"
        say(
            f"building Ollama {VERSION}: some 2 minutes of Go, then some 10 of C++; the log "
            f"is {logs}"
        )
        with logs.open("w") as log:
            build_ollama(folder, log)
            build_llama(Path(scratch), folder / "lib" / "ollama", log)
    (folder / "done").touch()
    return folder


def build_ollama(folder: Path, log: object) -> None:
    """Let Go build the daemon; `@latest` would be an old one."""
    module = "github.com/ollama/ollama"
    stamp = f"-s -w -X {module}/version.Version={VERSION}"
    run(
        ["go", "install", "-trimpath", "-ldflags", stamp, f"{module}@v{VERSION}"],
        log,
        GOBIN=str(folder / "bin"),
    )


def build_llama(scratch: Path, out: Path, log: object) -> None:
    """Build llama.cpp's programs, and put them with their libraries where Ollama looks."""
    version, hashes = llama_pin()
    run(
        [
            "uvx",
            "pip",
            "download",
            "-q",
            "--no-deps",
            "--no-binary",
            "llama-cpp-python",
            "-d",
            str(scratch),
            f"llama-cpp-python=={version}",
        ],
        log,
    )
    archive = next(scratch.glob("llama_cpp_python-*.tar.gz"))
    if hashlib.sha256(archive.read_bytes()).hexdigest() not in hashes:
        raise BuildError(f"{archive.name}: its hash is not in {LOCK.name}, expected one that is")
    with tarfile.open(archive) as tar:
        tar.extractall(scratch, filter="data")
    source, made = next(scratch.glob("llama_cpp_python-*/vendor/llama.cpp")), scratch / "made"
    run(["cmake", "-S", str(source), "-B", str(made), *(f"-D{flag}" for flag in FLAGS)], log)
    run(["cmake", "--build", str(made), "--target", *PROGRAMS, "-j", str(os.cpu_count() or 1)], log)
    out.mkdir(parents=True, exist_ok=True)
    for file in (made / "bin").iterdir():
        if file.name in PROGRAMS or ".so" in file.name or file.suffix == ".dylib":
            shutil.copy2(file, out / file.name, follow_symlinks=False) if not (
                out / file.name
            ).is_symlink() else None


def run(command: list[str], log: object, **environment: str) -> None:
    """Run a command, its words in the log."""
    code = subprocess.run(
        command,
        env={**os.environ, **environment},
        stdout=log,
        stderr=log,
        stdin=subprocess.DEVNULL,
        check=False,
    ).returncode  # type: ignore[call-overload]
    if code:
        tail = Path(log.name).read_text(errors="replace").splitlines()[-10:]  # type: ignore[attr-defined]
        raise BuildError(
            f"{' '.join(command[:2])} ended with {code}; the log is {log.name}, and ends:\n  "
            + "\n  ".join(tail)
        )  # type: ignore[attr-defined]


def say(*lines: str) -> None:
    """Print lines for the person."""
    for line in lines:
        print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
