"""The smoke stage: examine the finished file, before anyone else can talk to it."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builder.command import command
from builder.engine.stage import Job
from builder.errors import GateError

if TYPE_CHECKING:
    from builder.evaluation import examination

NAME = "smoke"
VERSION = 7
HEAVY = True
log = logging.getLogger("builder")


def inputs(job: Job) -> list[Path]:
    """The file, the adapter with what the live model said, and the rows."""
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
    from builder.evaluation import examination  # noqa: PLC0415 — imports numpy
    from builder.gates import fidelity  # noqa: PLC0415 — likewise

    found = examination.examine(job, None)
    examination.write(out, found)
    # What is registered is what was trained, whatever is typed.
    if found.failed and (fidelity.NAME in found.failed or not job.options.anyway):
        kept = job.build / "logs" / "smoke-failed.json"
        shutil.copyfile(out, kept)
        name = job.persona.name
        talk, build = command(f"chat {name}"), command(f"build {name} --anyway")
        hint = f"all answers are in {kept}; `{talk}` talks to the refused file, "
        hint += f"`{build}` registers it all the same"
        raise GateError(*found.problems(), hint=hint)
    if found.failed:
        log.warning("let through by --anyway: %s", ", ".join(found.failed))
    return summarize(found)


def summarize(found: examination.Examination) -> str:
    """Put the gates into one line."""
    parts = [
        f"{result.gate.replace('_', ' ')} {result.right}/{result.of}"
        for result in found.results
        if result.of and result.gate != "fidelity"
    ]
    unsure = sum(result.verdict == "not enough evidence" for result in found.results)
    kl = next(
        result.figures["mean_kl_nats"] for result in found.results if result.gate == "fidelity"
    )
    return ", ".join(
        [f"KL {kl:.3f}", *parts, *([f"{unsure} without enough evidence"] if unsure else [])]
    )
