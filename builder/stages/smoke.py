"""The smoke stage: examine the finished file before it is registered."""

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

NAME, VERSION = "smoke", 12
WORDS = "asks the finished file"
check = stage.nothing_to_check
unavailable = stage.always_available
checkpoint = stage.never_resumed
log = logging.getLogger("builder")


@dataclass(frozen=True, kw_only=True)
class Inputs(ExaminedFile):
    """The file, what it is compared with, and what it is asked."""

    is_waived: bool = not_compared()
    """Whether `--anyway` lets failed gates through."""
    refused: Path = not_compared()
    """Where the answers of a refused file are written."""
    name: str = not_compared()


def inputs(build: Build, /) -> Inputs:
    """Declare the file, what it is compared with, the persona and the questions."""
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
    """Say that the file was examined on another machine, whose llama.cpp may answer differently."""
    return "was examined on another machine" if build.arrival.exists() else None


def note(build: Build, /) -> None:
    """Record that this machine has examined the file."""
    build.arrival.unlink(missing_ok=True)


def worker(_build: Build, /) -> str:
    """The stages that use llama.cpp share a process."""
    return workers.LLAMA


def run(inputs: Inputs, work: Work, /) -> str:
    """Ask as many questions as the time budget allows, and stop the build if a gate fails.

    Raises:
        GateError: A gate failed, or a question of the manifest was answered wrongly.

    """
    from builder.evaluation import examination  # noqa: PLC0415 — imports numpy
    from builder.gates.table import GATES  # noqa: PLC0415 — likewise

    report = examination.examine(inputs.material(), GATES, None)
    report.write(work.out)
    # `--anyway` cannot waive the gates that compare the file with what was trained.
    if report.failed and not (report.can_be_waived and inputs.is_waived):
        shutil.copyfile(work.out, inputs.refused)
        talk, build = command(f"chat {inputs.name}"), command(f"build {inputs.name} --anyway")
        hint = f"all answers are in {inputs.refused}; `{talk}` talks to the refused file, "
        hint += f"`{build}` registers it all the same"
        raise GateError(*report.problems(), hint=hint)
    if report.failed:
        log.warning("let through by --anyway: %s", ", ".join(report.failed))
    return report.brief
