"""The stages in order: which are stale, and building them one after the other."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from builder import stamp
from builder.console import Console
from builder.errors import PersonaError, ToolError
from builder.stage import Job, Stage, run_in_child
from builder.stages import base, data, export, parity, register, render, replay, smoke, train

STAGES = cast("tuple[Stage, ...]", (base, data, replay, train, export, parity, render, smoke, register))
# What makes the rows that are trained on.
PREPARATION = STAGES[: STAGES.index(cast("Stage", data)) + 1]


@dataclass(frozen=True)
class Verdict:
    """Whether a stage is fresh, and if not, why."""

    stage: str
    reasons: list[str]
    summary: str


def plan(job: Job, stages: tuple[Stage, ...] = STAGES) -> list[Verdict]:
    """Judge stages, the first of them or all, and run none.

    Raises:
        PersonaError: An output was edited by hand, or a data file is missing.

    """
    verdicts: list[Verdict] = []
    stale: dict[Path, str] = {}
    for stage in stages:
        after = [name for path in stage.inputs(job) for output, name in stale.items() if path == output or path.is_relative_to(output)]
        reasons = [f"{name} is stale" for name in dict.fromkeys(after)] or stamp.why_stale(stage, job)
        if absent := _unavailable(stage, job):
            reasons = [absent]
        elif reasons:
            stale[stage.output(job)] = stage.NAME
        verdicts.append(Verdict(stage.NAME, reasons, str((stamp.read(stage, job) or {}).get("summary", ""))))
    stamp.save_cache(job)
    return verdicts


def build(job: Job, console: Console, stages: tuple[Stage, ...] = STAGES) -> str:
    """Run what is stale of the stages, the first of them or all; return what to print: the model's name, or the Modelfile's path.

    Raises:
        PersonaError: A stage failed; what was good before it is still there.

    """
    with locked(job.build):
        result = job.persona.model
        for stage in stages:
            if absent := _unavailable(stage, job):
                console.skipped(stage.NAME, absent)
                result = str(job.modelfile)
                continue
            reasons = stamp.why_stale(stage, job)
            if reasons:
                _run(stage, job, reasons, console)
            else:
                console.fresh(stage.NAME, str((stamp.read(stage, job) or {}).get("summary", "")))
        stamp.save_cache(job)
    return result


def _run(stage: Stage, job: Job, reasons: list[str], console: Console) -> None:
    console.started(stage.NAME, reasons)
    began_s = time.monotonic()
    description = stamp.describe(stage, job)
    job = replace(job, work=job.build / ".work" / f"{stage.NAME}-{stamp.key(description)}")
    out = job.build / ".new" / stage.output(job).name
    shutil.rmtree(out.parent, ignore_errors=True)
    for folder in (out.parent, job.work, job.build / "logs"):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        if stage.HEAVY:
            summary = run_in_child(stage, job, out, job.build / "logs" / f"{stage.NAME}.log")
        else:
            summary = stage.run(job, out)
        # The base stage pins revisions in its run, which are its settings from then on.
        description["settings"] = stamp.describe(stage, job)["settings"]
        stamp.publish(stage, job, out, description, summary)
    except PersonaError as error:
        stamp.note_failure(stage, job, str(error))
        raise
    except OSError as error:
        msg = f"{error.filename or stage.output(job)}: {error.strerror or error}, expected to write {stage.NAME}'s output"
        stamp.note_failure(stage, job, msg)
        raise ToolError(msg) from error
    shutil.rmtree(out.parent, ignore_errors=True)
    for old in (job.build / ".work").glob(f"{stage.NAME}-*"):
        shutil.rmtree(old, ignore_errors=True)
    console.done(stage.NAME, time.monotonic() - began_s, summary)


def _unavailable(stage: Stage, job: Job) -> str | None:
    ask = getattr(stage, "unavailable", None)
    return ask(job) if ask else None


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep a build's folder to this process.

    Raises:
        ToolError: Another process has it.

    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / ".lock"
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            msg = f"{folder}: is being built by process {file.read().strip() or 'unknown'}, expected nobody there"
            raise ToolError(msg, hint="wait for it, or end it") from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
