"""Checks that a build can be published: it is fresh, and passed its gates or was let through."""

from __future__ import annotations

from collections.abc import Sequence

from builder.command import command
from builder.engine import freshness
from builder.engine.hashes import Hashes
from builder.engine.stage import Stage
from builder.errors import GateError, NotBuiltError, ToolError
from builder.evaluation import report
from builder.evaluation.report import Report
from builder.project import Build
from builder.report import contents, verdict
from builder.stages import smoke


def check(build: Build, stages: Sequence[Stage]) -> Report:
    """Check that stages are fresh, and return the examination.

    The caller holds the build's lock.

    Raises:
        GateError: A gate refused the file.
        ToolError: A stage cannot run on this machine, is stale, or its output was edited by hand.

    """
    hashes = Hashes(build.folder)
    for stage in stages:
        if absent := stage.unavailable(build):
            msg = f"{build.folder}: {stage.NAME} cannot run ({absent}), expected a finished build"
            raise ToolError(msg)
        try:
            reasons = freshness.find_reasons(stage, build, hashes)
        except NotBuiltError as error:
            reasons = [f"{error.path} is missing"]
        if reasons:
            _refuse(build, stage, reasons[0])
    hashes.save()
    return report.read(build.smoke)


def _refuse(build: Build, stage: Stage, reason: str) -> None:
    if stage.NAME == smoke.NAME:
        gathered = contents.gather(build)
        if gathered.found and gathered.is_refused:
            failed = verdict.name_failed(gathered.found)
            msg = f"{build.folder}: was refused by its gates ({failed}), expected a build that "
            msg += "passed, or was let through by --anyway"
            raise GateError(msg, hint=command(f"build {build.name} --anyway"))
    msg = f"{build.folder}: {stage.NAME} is stale ({reason}), expected a finished build"
    raise ToolError(msg, hint=command(f"build {build.name}"))
