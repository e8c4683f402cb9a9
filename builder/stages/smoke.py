"""The smoke stage: examine the finished file, before anyone else can talk to it."""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass
from pathlib import Path

from builder import examined, workers
from builder.command import command
from builder.engine import stage
from builder.engine.inputs import not_compared
from builder.engine.stage import Work
from builder.errors import GateError
from builder.examined import ExaminedFile
from builder.project import Build

NAME, VERSION = "smoke", 11
WORDS = "asks the finished file"
check = stage.nothing_to_check
unavailable = stage.always_available
checkpoint = stage.never_resumed
log = logging.getLogger("builder")


@dataclass(frozen=True, kw_only=True)
class Inputs(ExaminedFile):
    """The file, what it is compared with, and what it is asked."""

    is_waived: bool = not_compared()
    """Whether `--anyway` lets a failed gate through."""
    refused: Path = not_compared()
    """Where the answers of a refused file are left to be read."""
    name: str = not_compared()


def inputs(build: Build, /) -> Inputs:
    """Declare the file, the in-memory model's recordings, the persona and the questions."""
    return Inputs(
        **examined.declare_file(build),
        is_waived=build.options.anyway,
        refused=build.refused,
        name=build.name,
    )


def output(build: Build, /) -> Path:
    """`smoke.json`: every gate's verdict, and each question and answer."""
    return build.smoke


def health(build: Build, /) -> str | None:
    """Say that another machine examined the file, whose llama.cpp may answer otherwise."""
    return "was examined on another machine" if build.arrival.exists() else None


def note(build: Build, /) -> None:
    """Note that this machine has examined the file."""
    build.arrival.unlink(missing_ok=True)


def worker(_build: Build, /) -> str:
    """llama.cpp is loaded once for all stages that use it."""
    return workers.LLAMA


def run(inputs: Inputs, work: Work, /) -> str:
    """Ask what the budget allows, and stop the build where a gate fails.

    Raises:
        GateError: A gate failed, or a question of the manifest is answered wrongly.

    """
    from builder.evaluation import examination  # noqa: PLC0415 — imports numpy
    from builder.gates.table import GATES  # noqa: PLC0415 — likewise

    report = examination.examine(inputs.material(), GATES, None)
    report.write(work.out)
    # What is registered is what was trained, whatever is typed.
    if report.failed and not (report.can_be_waived and inputs.is_waived):
        shutil.copyfile(work.out, inputs.refused)
        talk, build = command(f"chat {inputs.name}"), command(f"build {inputs.name} --anyway")
        hint = f"all answers are in {inputs.refused}; `{talk}` talks to the refused file, "
        hint += f"`{build}` registers it all the same"
        raise GateError(*report.problems(), hint=hint)
    if report.failed:
        log.warning("let through by --anyway: %s", ", ".join(report.failed))
    return report.brief
