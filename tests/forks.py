"""Python whose libraries are imported: each run is a process, forked from one that waits."""

import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
import types
from multiprocessing import forkserver
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).parent.parent
LIBRARIES = ["tests.forks", "builder.cli"]
# What prepares the rows takes seconds to import: where a worker runs many tests that is done once.
if "PYTEST_XDIST_WORKER" in os.environ:
    LIBRARIES += ["builder.stages.data", "transformers.models.auto.tokenization_auto"]
# Variables that Python and these libraries read once, as they start.
READ_AT_START = ("PYTHON", "LC_", "LANG", "HOME", "XDG_", "HF_", "HUGGING", "TRANSFORMERS_")
# Elsewhere a process that has imported this much may not be forked.
CONTEXT = multiprocessing.get_context("forkserver") if sys.platform == "linux" else None
# The variables of the session's processes, once it has begun.
SESSION: dict[str, str] = {}
# Before a test has imported a script that adds its own folder, whose modules may hide a library.
SEARCHED = [entry for entry in sys.path if Path(entry).resolve().parent != ROOT]


def begin_session() -> None:
    """Take the variables as they are for those that the libraries are imported with."""
    SESSION.update(os.environ, PYTHONPATH=str(ROOT))


def run_python(
    *words: str, cwd: Path, typed: str | None = None, **environment: str
) -> subprocess.CompletedProcess:
    """Run `python -m MODULE ARGUMENT...` or `python -c CODE ARGUMENT...`, and capture its output.

    Args:
        words: The command line after `python`.
        cwd: The folder that it runs in.
        typed: What is on its standard input, which is else empty.
        environment: Variables beside those of the tests.

    """
    variables = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    if CONTEXT is None or _read_at_start(variables) != _read_at_start(SESSION):
        return subprocess.run(
            [sys.executable, *words],
            cwd=cwd,
            env=variables,
            input=typed,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
    with mock.patch.dict(os.environ, SESSION, clear=True):
        CONTEXT.set_forkserver_preload(LIBRARIES)
        forkserver.ensure_running()
    with tempfile.TemporaryDirectory() as folder:
        streams = [Path(folder, name) for name in ("stdin", "stdout", "stderr")]
        streams[0].write_text(typed or "", "utf-8")
        process = CONTEXT.Process(target=_run, args=(words, streams, cwd, variables, SEARCHED))
        process.start()
        process.join()
        out, err = (path.read_text("utf-8") for path in streams[1:])
    return subprocess.CompletedProcess(words, process.exitcode, out, err)


def _read_at_start(variables: dict[str, str]) -> dict[str, str]:
    """Choose the variables that a process which has started already no longer reads."""
    return {name: text for name, text in variables.items() if name.startswith(READ_AT_START)}


def _run(
    words: tuple[str, ...],
    streams: list[Path],
    cwd: Path,
    variables: dict[str, str],
    searched: list[str],
) -> None:
    """Become, in the new process, what was asked for."""
    os.environ.clear()
    os.environ.update(variables)
    sys.path[:] = searched
    os.chdir(cwd)
    for descriptor, path in enumerate(streams):
        opened = os.open(path, os.O_RDWR | os.O_CREAT)
        os.dup2(opened, descriptor)
        os.close(opened)
    sys.stdin = open(  # noqa: SIM115 — multiprocessing has closed the one there was
        0, encoding=sys.stdout.encoding, errors=sys.stdout.errors, closefd=False
    )
    option, subject, *arguments = words
    sys.argv = [option, *arguments]
    if option == "-m":
        runpy.run_module(subject, run_name="__main__", alter_sys=True)
    else:
        exec(subject, vars(types.ModuleType("__main__")))  # noqa: S102 — code of the tests
