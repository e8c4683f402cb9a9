"""What `just gates` runs in a child process: ask the finished file all questions of the gates."""

from __future__ import annotations

from pathlib import Path

from builder.engine.stage import Job
from builder.evaluation import examination
from builder.gates.table import GATES
from builder.stages import smoke

NAME = "gates"


def run(job: Job, out: Path) -> str:
    """Examine the file by every question, and write the report."""
    examination.examine(smoke.gather(job), GATES, 1.0).write(out)
    return str(out)
