"""Python whose libraries are imported: each run is a process, forked from one that waits."""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
import types
from collections.abc import Callable, Sequence
from multiprocessing import forkserver
from multiprocessing.reduction import DupFd
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).parent.parent
LIBRARIES = ["tests.forks", "builder.cli"]
# What prepares the rows takes seconds to import: where a worker runs many tests that is done once.
if "PYTEST_XDIST_WORKER" in os.environ:
    LIBRARIES += ["builder.stages.data", "transformers.models.auto.tokenization_auto"]
# Variables that Python and these libraries read once, as they start.
READ_AT_START = ("PYTHON", "LC_", "LANG", "HOME", "XDG_", "HF_", "HUGGING", "TRANSFORMERS_")
# Those of them that the hub's client alone reads, in a module that can be read again.
OF_HUB = {"HF_ENDPOINT", "HF_HUB_OFFLINE", "HF_TOKEN", "HF_HUB_DISABLE_XET"}
HUB_SETTINGS = "huggingface_hub.constants"
# Elsewhere a process that has imported this much may not be forked.
CONTEXT = multiprocessing.get_context("forkserver") if sys.platform == "linux" else None
# The variables of the session's processes, once it has begun.
SESSION: dict[str, str] = {}
# Before a test has imported a script that adds its own folder, whose modules may hide a library.
SEARCHED = [entry for entry in sys.path if Path(entry).resolve().parent != ROOT]
# A standard stream that is closed before Python starts, as `>&-` closes it.
CLOSED = -1
# Closes streams, and becomes the command that follows.
CLOSE_AND_RUN = 'for stream in $0; do eval "exec $stream>&-"; done; exec "$@"'


def begin_session() -> None:
    """Take the variables as they are for those that the libraries are imported with."""
    SESSION.update(os.environ, PYTHONPATH=str(ROOT))


def run_python(
    *words: str,
    cwd: Path,
    typed: str | bytes | None = None,
    stdin: int | None = None,
    stdout: int | None = None,
    stderr: int | None = None,
    **environment: str | None,
) -> subprocess.CompletedProcess[str]:
    """Run `python -m MODULE ARGUMENT...` or `python -c CODE ARGUMENT...` to its end.

    Args:
        words: The command line after `python`.
        cwd: The folder that it runs in.
        typed: What is on its standard input, which is else empty.
        stdin: The descriptor of another standard input, or CLOSED.
        stdout: The descriptor of its standard output, or CLOSED; what it prints is else captured.
        stderr: The same, of its standard error.
        environment: Variables beside those of the tests; None takes one away.

    """
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, name) for name in ("stdin", "stdout", "stderr")]
        files[0].write_bytes(typed.encode("utf-8") if isinstance(typed, str) else typed or b"")
        with contextlib.ExitStack() as opened:
            streams = [
                opened.enter_context(path.open("r+b" if path == files[0] else "wb")).fileno()
                if given is None
                else given
                for path, given in zip(files, (stdin, stdout, stderr), strict=True)
            ]
            process = start_python(*words, cwd=cwd, streams=streams, **environment)
        code = process.wait()
        printed = [path.read_text("utf-8") if path.exists() else "" for path in files[1:]]
    return subprocess.CompletedProcess(words, code, *printed)


def start_python(
    *words: str, cwd: Path, streams: Sequence[int], leads: bool = False, **environment: str | None
) -> subprocess.Popen[bytes] | Fork:
    """Start `python -m MODULE ARGUMENT...` or `python -c CODE ARGUMENT...`.

    Args:
        words: The command line after `python`.
        cwd: The folder that it runs in.
        streams: Descriptors of its standard input, output and error; each may be CLOSED.
        leads: Whether it leads a session of its own, as what runs in a terminal does.
        environment: Variables beside those of the tests; None takes one away.

    """
    wanted = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    variables = {name: text for name, text in wanted.items() if text is not None}
    if CONTEXT is None or _read_at_start(variables) != _read_at_start(SESSION):
        closed = " ".join(str(at) for at, stream in enumerate(streams) if stream == CLOSED)
        given = [None if stream == CLOSED else stream for stream in streams]
        return subprocess.Popen(
            [*(("sh", "-c", CLOSE_AND_RUN, closed) if closed else ()), sys.executable, *words],
            cwd=cwd,
            env=variables,
            stdin=given[0],
            stdout=given[1],
            stderr=given[2],
            start_new_session=leads,
        )
    with mock.patch.dict(os.environ, SESSION, clear=True):
        CONTEXT.set_forkserver_preload(LIBRARIES)
        forkserver.ensure_running()
    descriptors = [stream if stream == CLOSED else _Descriptor(stream) for stream in streams]
    there = {"cwd": cwd, "streams": descriptors, "leads": leads, "searched": SEARCHED}
    process = CONTEXT.Process(target=_run, args=(words, variables), kwargs=there)
    process.start()
    return Fork(process)


class Fork:
    """A process that was forked, with what the tests use of `subprocess.Popen`.

    Args:
        process: Has begun.

    """

    def __init__(self, process: multiprocessing.Process) -> None:
        self._process = process
        self.pid = process.pid
        self.kill = process.kill

    def poll(self) -> int | None:
        """Give its exit code, if it has ended."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it ends, so many seconds at most; give its exit code."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout or 0.0)
        return self._process.exitcode


class _Descriptor:
    """A descriptor that is passed on to a process that is started; there it is a number."""

    def __init__(self, number: int) -> None:
        self._number = number

    def __reduce__(self) -> tuple[Callable[..., int], tuple[object]]:
        return _receive, (DupFd(self._number),)


def _receive(sent: object) -> int:
    return int(sent.detach())


def _read_at_start(variables: dict[str, str]) -> dict[str, str]:
    """Choose the variables that a process which has started already no longer reads."""
    return {
        name: text
        for name, text in variables.items()
        if name.startswith(READ_AT_START) and name not in OF_HUB
    }


def _run(
    words: tuple[str, ...],
    variables: dict[str, str],
    *,
    cwd: Path,
    streams: list[int],
    leads: bool,
    searched: list[str],
) -> None:
    """Become, in the new process, what was asked for."""
    gc.freeze()  # what the libraries made: none of it is garbage
    os.environ.clear()
    os.environ.update(variables)
    if HUB_SETTINGS in sys.modules:
        importlib.reload(sys.modules[HUB_SETTINGS])
    sys.path[:] = searched
    os.chdir(cwd)
    if leads:
        os.setsid()
    _take_streams(streams)
    option, subject, *arguments = words
    sys.argv = [option, *arguments]
    if option == "-m":
        runpy.run_module(subject, run_name="__main__", alter_sys=True)
    else:
        exec(subject, vars(types.ModuleType("__main__")))  # noqa: S102 — code of the tests


def _take_streams(streams: list[int]) -> None:
    """Make descriptors the standard streams, as Python finds them when it starts."""
    for descriptor, stream in enumerate(streams):
        if stream == CLOSED:
            os.close(descriptor)
        else:
            os.dup2(stream, descriptor)
    for stream in set(streams) - {CLOSED}:
        os.close(stream)
    # multiprocessing has closed the standard input that there was.
    sys.stdin = sys.__stdin__ = None if streams[0] == CLOSED else _open_stdin()
    if streams[1] == CLOSED:
        sys.stdout = sys.__stdout__ = None
    else:
        sys.stdout.reconfigure(line_buffering=os.isatty(1) and not sys.stdout.write_through)
    if streams[2] == CLOSED:
        sys.stderr = sys.__stderr__ = None


def _open_stdin() -> io.TextIOBase:
    """Open the standard input as Python does when it starts."""
    out = sys.stdout
    return open(0, encoding=out.encoding, errors=out.errors, closefd=False)
