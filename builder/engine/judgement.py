"""Which stages are stale, and why: each by its own inputs and by those that others will write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.engine import freshness
from builder.engine.hashes import Hashes
from builder.engine.stage import Build, Stage, list_files
from builder.errors import NotBuiltError


@dataclass(frozen=True)
class Judgement:
    """Whether a stage is fresh, and if not, why."""

    stage: str
    reasons: list[str]
    summary: str = ""
    is_available: bool = True
    has_new_inputs: bool = False
    """Whether it reads what another stale stage will write."""

    @property
    def is_stale(self) -> bool:
        """Whether the stage would run."""
        return bool(self.reasons) and self.is_available


def judge(build: Build, stages: Sequence[Stage], hashes: Hashes) -> list[Judgement]:
    """Judge stages in order, and write nothing.

    Raises:
        PersonaError: An output was edited by hand.

    """
    judgements: list[Judgement] = []
    stale: dict[Path, str] = {}
    for stage in stages:
        if absent := stage.unavailable(build):
            judgements.append(Judgement(stage.NAME, [absent], is_available=False))
            continue
        new_inputs = _find_stale_inputs(stage, build, stale)
        reasons = new_inputs or freshness.find_reasons(stage, build, hashes)
        if reasons:
            stale[stage.output(build)] = stage.NAME
        stamp = freshness.read_stamp(stage, build)
        summary = stamp.summary if stamp else ""
        judgement = Judgement(stage.NAME, reasons, summary, has_new_inputs=bool(new_inputs))
        judgements.append(judgement)
    return judgements


def _find_stale_inputs(stage: Stage, build: Build, stale: dict[Path, str]) -> list[str]:
    """Name the stale stages whose outputs a stage reads."""
    try:
        paths = [file.path for file in list_files(stage.inputs(build))]
    except NotBuiltError as error:
        paths = [error.path]
    names = [
        name
        for path in paths
        for output, name in stale.items()
        if path == output or path.is_relative_to(output)
    ]
    return [f"{name} is stale" for name in dict.fromkeys(names)]


def check(build: Build, stages: Sequence[Stage], judgements: list[Judgement]) -> None:
    """Check what a stale stage needs, before any stage runs.

    Raises:
        PersonaError: It could not finish.

    """
    for stage, judgement in zip(stages, judgements, strict=True):
        if judgement.is_stale:
            stage.check(build)
