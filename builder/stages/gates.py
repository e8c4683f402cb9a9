"""The gates stage: ask the finished file every question of the gates, for a report."""

from __future__ import annotations

from pathlib import Path

from builder import examined, workers
from builder.engine import stage
from builder.engine.stage import Work
from builder.examined import ExaminedFile as Inputs
from builder.project import Build

NAME, VERSION = "gates", 3
WORDS = "asks every question of the gates"
check = stage.nothing_to_check
health = stage.always_healthy
unavailable = stage.always_available
note = stage.nothing_to_note
checkpoint = stage.never_resumed


def inputs(build: Build, /) -> Inputs:
    """Declare the file, what it is compared with, the persona and the questions."""
    return Inputs(**examined.declare_file(build))


def output(build: Build, /) -> Path:
    """`gates.json`: like smoke.json, with every question."""
    return build.gates


def worker(_build: Build, /) -> str:
    """llama.cpp runs in a separate process."""
    return workers.LLAMA


def run(inputs: Inputs, work: Work, /) -> str:
    """Ask everything and judge the answers; a failed gate stops nothing here."""
    from builder.evaluation import examination  # noqa: PLC0415 — imports numpy
    from builder.gates.table import GATES  # noqa: PLC0415 — likewise

    report = examination.examine(inputs.material(), GATES, 1.0)
    report.write(work.out)
    return report.brief
