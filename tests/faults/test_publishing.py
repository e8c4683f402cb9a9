"""Every file-system operation of a build, killed or refused: nothing good is lost, no litter stays.

The stages are copies of small files, so that hundreds of builds run in a minute; what is tested
is all that the engine does around them.
"""

import errno
import multiprocessing
import os
import re
import shutil
import signal
import sys
import types
from dataclasses import dataclass

import pytest

from builder.engine import pipeline
from builder.engine import stage as stages
from builder.engine.inputs import File, Tree
from builder.errors import PersonaError
from builder.terminal.console import Console
from tests.conftest import build_of

# Those that `sys.audit` tells of, and that change an entry or a file; `os.rename` is replace too.
OPERATIONS = {
    *("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink"),
    *("os.truncate", "os.chmod", "os.chown", "os.utime", "os.setxattr", "fcntl.flock"),
}
KILL = "kill"
FAULTS = (KILL, errno.ENOSPC, errno.EACCES, errno.EIO)
SURVIVED, TOLD, BUG = 0, 1, 3
# What a stamp notes of the time, in which two equal builds differ.
DURATION = re.compile(r'"took_s": [\d.]+')
# What only saves time, or is written by each process.
UNCOMPARED = (".cache", ".lock", "logs")


@dataclass(frozen=True)
class Inputs:
    """What a copy is made of."""

    source: File | Tree


def write_file(inputs, work):
    (work.scratch / "checkpoint").write_text("half")
    work.out.write_text(inputs.source.path.read_text() + "!")
    return "copied"


def write_folder(inputs, work):
    work.out.mkdir()
    for name in ("a.txt", "b.txt"):
        (work.out / name).write_text(inputs.source.path.read_text() + name)
    return "copied twice"


def make_stage(name, source, output, run):
    return types.SimpleNamespace(
        NAME=name,
        WORDS="copies",
        VERSION=1,
        worker=stages.main_process,
        inputs=lambda build: Inputs(source(build)),
        output=lambda build: build.folder / output,
        check=stages.nothing_to_check,
        health=stages.always_healthy,
        unavailable=stages.always_available,
        note=stages.nothing_to_note,
        checkpoint=stages.never_resumed,
        run=run,
    )


CHAIN = (
    make_stage("first", lambda build: File(build.persona.data_files[0]), "first.txt", write_file),
    make_stage("second", lambda build: File(build.folder / "first.txt"), "second", write_folder),
)


class Faulty:
    """Counts file-system operations that write, and fails at one of them.

    Python audits each of them, whichever function or module asked for it, but for fsync.
    """

    def __init__(self, at, fault):
        self.at, self.fault, self.count = at, fault, 0

    def start(self):
        """Watch from here on, until the process ends: a hook cannot be taken away."""
        sys.addaudithook(self.hear)
        fsync = os.fsync
        os.fsync = lambda handle: (self.step((handle,)), fsync(handle))

    def hear(self, event, arguments):
        """Count what Python audits, if it writes."""
        if event == "open":
            path, mode, flags = arguments
            # What is opened by a number is open already; os.open alone gives no mode.
            is_counted = mode is None or flags & (os.O_WRONLY | os.O_RDWR)
            if is_counted and not isinstance(path, int):
                self.step((path,))
        elif event in OPERATIONS:
            self.step(arguments)

    def step(self, arguments):
        """Count one operation, and fail if it is the one to fail at."""
        self.count += 1
        if self.count == self.at:
            if self.fault == KILL:
                os.kill(os.getpid(), signal.SIGKILL)
            named = arguments[0] if isinstance(arguments[0], str | os.PathLike) else None
            raise OSError(self.fault, os.strerror(self.fault), named)


def build_with_fault(build, at, fault, counted):
    """Build in a forked process, whose end says what came of it."""
    faulty = Faulty(at, fault)
    faulty.start()
    code = SURVIVED
    try:
        pipeline.run(build, CHAIN, Console())
    except PersonaError:
        code = TOLD
    except BaseException:  # noqa: BLE001 — a bug, by whichever exception
        code = BUG
    counted.value = faulty.count
    os._exit(code)


def fork(build, at, fault):
    """Run a build with a fault; give its exit code, and how many operations it came to."""
    context = multiprocessing.get_context("fork")
    counted = context.Value("i", 0)
    process = context.Process(target=build_with_fault, args=(build, at, fault, counted))
    process.start()
    process.join(60)
    return process.exitcode, counted.value


def list_contents(folder):
    """Give every file of a build that must be equal, by name."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if name.parts[0] not in UNCOMPARED:
            found[str(name)] = DURATION.sub("", path.read_text()) if path.is_file() else None
    return found


@pytest.fixture
def changed(luma):
    """Build once, then change the data, so that a fault meets good outputs and stale ones."""
    build = build_of(luma)
    pipeline.run(build, CHAIN, Console())
    (luma / "data.jsonl").write_text("another text")
    return build


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_every_operation_of_a_build_may_fail(changed, tmp_path, fault):
    """Wherever a build is killed or refused, outputs stay whole, and the next build is as any."""
    reference = tmp_path / "reference"
    shutil.copytree(changed.folder, reference)
    assert fork(changed, 0, fault)[0] == SURVIVED
    expected = list_contents(changed.folder)
    good = {"first.txt": {"another text!", old_text(reference)}}

    at = 1
    while True:
        shutil.rmtree(changed.folder)
        shutil.copytree(reference, changed.folder)
        code, count = fork(changed, at, fault)
        if fault != KILL and count < at:
            break
        if fault == KILL and code != -signal.SIGKILL:
            break
        where = f"{fault} at operation {at}"
        assert code in (SURVIVED, TOLD, -signal.SIGKILL), where
        assert is_there(changed.folder, good["first.txt"]), where
        pipeline.run(changed, CHAIN, Console())
        assert list_contents(changed.folder) == expected, where
        at += 1
    assert at > 40


def old_text(folder):
    return (folder / "first.txt").read_text()


def is_there(folder, texts):
    """Say whether the output, or the older one beside it, is whole."""
    places = (folder / "first.txt", folder / ".first.txt.old")
    return any(place.exists() and place.read_text() in texts for place in places)
