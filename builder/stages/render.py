"""The render stage: write the Modelfile, the true record of what is served."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from builder.bases import base
from builder.engine.stage import Job
from builder.ollama import modelfile, served

NAME = "render"
VERSION = 2
HEAVY = False


def inputs(job: Job) -> list[Path]:
    """Modelfile.j2, the trained template, and the base's facts."""
    return [
        job.template,
        job.dataset / "chat_template.jinja",
        job.dataset / "profile.json",
        job.base,
    ]


def settings(job: Job) -> dict[str, Any]:
    """The `[ollama]` table, and the name."""
    values = job.persona.manifest.ollama.model_dump(exclude={"model"})
    return {
        "model": job.persona.model,
        "data.template": job.persona.manifest.data.template,
        **{f"ollama.{key}": value for key, value in values.items()},
    }


def output(job: Job) -> Path:
    """`Modelfile`."""
    return job.modelfile


def health(_job: Job) -> str | None:
    """Nothing outside is needed."""
    return None


def run(job: Job, out: Path) -> str:
    """Render, and read back."""
    decided = served.read(
        job.base,
        job.dataset,
        model=job.persona.model,
        ollama=job.persona.manifest.ollama,
        kind=job.persona.manifest.data.template,
    )
    out.write_text(
        modelfile.render(job.template, decided, job.persona.title, base.read(job.base).source)
    )
    return f"served by {decided.why}"
