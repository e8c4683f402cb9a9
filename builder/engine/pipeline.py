"""The stages in order: which are stale, and building them one after the other."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, NamedTuple, cast

from builder import chatter
from builder.console import Console
from builder.data import rows
from builder.engine import freshness
from builder.engine.stage import Job, Stage, run_in_child
from builder.errors import PersonaError, ToolError
from builder.ollama import modelfile
from builder.stages import base, data, export, parity, register, render, replay, smoke, train

STAGES = cast(
    "tuple[Stage, ...]", (base, data, render, replay, train, export, parity, smoke, register)
)
# What makes the rows that are trained on.
PREPARATION = STAGES[: STAGES.index(cast("Stage", data)) + 1]
LOCK = ".lock"
# `plan` asks for the lock to see whether somebody has it, and gives it back in microseconds.
LOCK_TRIES, LOCK_PAUSE_S = 20, 0.01


@dataclass(frozen=True)
class Verdict:
    """Whether a stage is fresh, and if not, why."""

    stage: str
    reasons: list[str]
    summary: str


class Built(NamedTuple):
    """What a build gives: the model's name, or the Modelfile's path where there is no Ollama."""

    result: str
    has_run: bool
    """Whether anything was stale."""


def plan(job: Job, stages: tuple[Stage, ...] = STAGES) -> list[Verdict]:
    """Judge stages, the first of them or all; run none, and write nothing.

    While a build is running, or where one began meanwhile, the one verdict says so.

    Raises:
        PersonaError: An output was edited by hand, a data file is missing, or what Ollama is told
            is wrong.

    """
    modelfile.check(job.persona, job.template)
    verdicts: list[Verdict] = []
    failure: OSError | PersonaError | None = None
    before = _read_lock(job.build)
    if not before.is_held:
        try:
            verdicts = _judge(job, stages)
        except (OSError, PersonaError) as error:
            failure = error  # which may be no more than a file seen half-way into its place
    after = _read_lock(job.build)
    if before.is_held or after != before:
        return [Verdict(job.persona.name, [f"is being built by process {after.process}"], "")]
    if failure:
        raise failure
    return verdicts


def _judge(job: Job, stages: tuple[Stage, ...]) -> list[Verdict]:
    verdicts: list[Verdict] = []
    stale: dict[Path, str] = {}
    for stage in stages:
        after = [
            name
            for path in stage.inputs(job)
            for output, name in stale.items()
            if path == output or path.is_relative_to(output)
        ]
        reasons = [f"{name} is stale" for name in dict.fromkeys(after)] or freshness.why_stale(
            stage, job
        )
        if absent := _unavailable(stage, job):
            reasons = [absent]
        elif reasons:
            stale[stage.output(job)] = stage.NAME
        verdicts.append(
            Verdict(stage.NAME, reasons, str((freshness.read(stage, job) or {}).get("summary", "")))
        )
    return verdicts


def build(job: Job, console: Console, stages: tuple[Stage, ...] = STAGES) -> Built:
    """Run what is stale of the stages, the first of them or all.

    Raises:
        PersonaError: A stage failed; what was good before it is still there.

    """
    modelfile.check(job.persona, job.template)
    with locked(job.build):
        if stages == STAGES:
            register.check(job)
        result, has_run = job.persona.model, False
        for stage in stages:
            freshness.restore(stage, job)
        if freshness.why_stale(stages[0], job):
            rows.read(job.persona)  # before a base is fetched for rows that cannot be read
        for stage in stages:
            if absent := _unavailable(stage, job):
                console.skipped(stage.NAME, absent)
                result = str(job.modelfile)
                continue
            reasons = freshness.why_stale(stage, job)
            if reasons:
                _run(stage, job, reasons, console)
                has_run = True
            else:
                console.fresh(
                    stage.NAME, str((freshness.read(stage, job) or {}).get("summary", ""))
                )
        freshness.save_cache(job)
    return Built(result, has_run)


def _run(stage: Stage, job: Job, reasons: list[str], console: Console) -> None:
    console.started(stage.NAME, reasons)
    began_s = time.monotonic()
    description = freshness.describe(stage, job)
    job = replace(job, work=job.build / ".work" / f"{stage.NAME}-{freshness.key(description)}")
    out = job.build / ".new" / stage.output(job).name
    shutil.rmtree(out.parent, ignore_errors=True)
    for folder in (out.parent, job.work, job.build / "logs"):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        if stage.HEAVY:
            summary = run_in_child(stage, job, out, job.build / "logs" / f"{stage.NAME}.log")
        else:
            with chatter.divert(job.build / "logs" / f"{stage.NAME}.log"):
                summary = stage.run(job, out)
        # The base stage pins revisions in its run, which are its settings from then on.
        description["settings"] = freshness.describe(stage, job)["settings"]
        freshness.publish(stage, job, out, description, summary)
    except PersonaError as error:
        freshness.note_failure(stage, job, str(error))
        raise
    except OSError as error:
        msg = f"{error.filename or stage.output(job)}: {error.strerror or error}, expected to write {stage.NAME}'s output"
        freshness.note_failure(stage, job, msg)
        raise ToolError(msg) from error
    shutil.rmtree(out.parent, ignore_errors=True)
    for old in (job.build / ".work").glob(f"{stage.NAME}-*"):
        shutil.rmtree(old, ignore_errors=True)
    console.done(stage.NAME, time.monotonic() - began_s, summary)


def _unavailable(stage: Stage, job: Job) -> str | None:
    ask = getattr(stage, "unavailable", None)
    return ask(job) if ask else None


@dataclass(frozen=True)
class _Lock:
    text: str
    """The process that took it last, and a text of that time alone."""
    is_held: bool

    @property
    def process(self) -> str:
        return self.text.split(" ")[0] or "unknown"


def _read_lock(folder: Path) -> _Lock:
    """Read who took a build's lock last and whether they have it, without writing."""
    try:
        with (folder / LOCK).open() as file:
            text = file.read()
            return _Lock(text, is_held=not _take(file, fcntl.LOCK_SH))
    except FileNotFoundError:
        return _Lock("", is_held=False)


def _take(file: IO[str], kind: int, tries: int = 1) -> bool:
    for left in reversed(range(tries)):
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(LOCK_PAUSE_S if left else 0)
        else:
            return True
    return False


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep a build's folder to this process.

    Raises:
        ToolError: Another process has it.

    """
    folder.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666), "r+") as file:
        if not _take(file, fcntl.LOCK_EX, LOCK_TRIES):
            process = _read_lock(folder).process
            msg = f"{folder}: is being built by process {process}, expected nobody there"
            raise ToolError(msg, hint="wait for it, or end it") from None
        file.write(f"{os.getpid()} {secrets.token_hex(8)}")
        file.truncate()  # after the write, so that whoever reads it finds a process
        yield
