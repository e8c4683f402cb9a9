"""The smoke stage: examine the finished file, before anyone else can talk to it."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

from builder.engine.stage import Job
from builder.errors import GateError
from builder.evaluation import examination
from builder.evaluation.examination import Material
from builder.evaluation.report import Report
from builder.gates.table import GATES

NAME = "smoke"
VERSION = 8
HEAVY = True
log = logging.getLogger("builder")


def inputs(job: Job) -> list[Path]:
    """The file, the adapter with what the in-memory model gave, and the rows."""
    return [job.gguf, job.adapter, job.dataset, job.base / "base.json"]


def settings(job: Job) -> dict[str, Any]:
    """The manifest's questions and limits, the names to look for, and what is served."""
    manifest = job.persona.manifest
    values = {
        **manifest.settings("smoke"),
        **manifest.settings("identity"),
        **manifest.gates.resolve(),
    }
    return {
        **values,
        "ollama.system": manifest.ollama.system,
        "ollama.parameters": manifest.ollama.parameters,
    }


def output(job: Job) -> Path:
    """`smoke.json`: every gate's verdict, and each question and answer."""
    return job.smoke


def health(_job: Job) -> str | None:
    """Nothing outside is needed."""
    return None


def run(job: Job, out: Path) -> str:
    """Ask what the budget allows, and stop the build where a gate fails.

    Raises:
        GateError: A gate failed, or a question of the manifest is answered wrongly.

    """
    report = examination.examine(gather(job), GATES, None)
    report.write(out)
    # What is registered is what was trained, whatever is typed.
    if report.failed and not (report.can_be_waived and job.options.anyway):
        copy = job.build / "logs" / "smoke-failed.json"
        shutil.copyfile(out, copy)
        name = job.persona.name
        hint = (
            f"all answers are in {copy}; `just chat {name}` talks to the refused file, "
            f"`just build {name} --anyway` registers it all the same"
        )
        raise GateError(*report.problems(), hint=hint)
    if report.failed:
        log.warning("let through by --anyway: %s", ", ".join(report.failed))
    return summarize(report)


def gather(job: Job) -> Material:
    """Gather what is examined."""
    manifest = job.persona.manifest
    return Material(
        dataset=job.dataset,
        base=job.base,
        identity=manifest.identity,
        gates=manifest.gates,
        system=manifest.ollama.system,
        parameters=manifest.ollama.parameters,
        max_tokens=manifest.smoke.max_tokens,
        gguf=job.gguf,
        reference=job.reference,
        answers=job.answers,
        questions=manifest.smoke.questions,
        cache=job.build / ".cache",
    )


def summarize(report: Report) -> str:
    """Put the gates into one line."""
    parts = [finding.brief for finding in report.gates if finding.brief]
    unsure = sum(finding.verdict == "not enough evidence" for finding in report.gates)
    return ", ".join([*parts, *([f"{unsure} without enough evidence"] if unsure else [])])
