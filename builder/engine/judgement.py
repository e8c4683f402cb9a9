"""Which stages will run or may run, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from builder.engine import freshness, publish, stamps
from builder.engine.hashes import Hashes
from builder.engine.inputs import list_files
from builder.engine.stage import Build, Checkpoint, Stage
from builder.errors import NotBuiltError, PersonaError, rebuild
from builder.words import join

State = Literal["fresh", "runs", "may run", "does not run", "being built"]


@dataclass(frozen=True)
class Judgement:
    """Whether a stage is fresh, and if not, why."""

    stage: str
    reasons: list[str]
    """Why it must run, whatever the earlier stages write."""
    summary: str = ""
    is_available: bool = True
    changing: tuple[str, ...] = ()
    """Earlier stages that may change a file it reads."""
    has_changed: bool = False
    """Whether such a file differs already from the one it was built from."""
    checkpoint: Checkpoint | None = None
    """Where it resumes, if it runs."""
    is_running: bool = False
    """Whether a build is running, so that nothing could be judged."""

    @property
    def state(self) -> State:
        """What the stage will do, in a word or two."""
        if self.is_running:
            return "being built"
        if not self.is_available:
            return "does not run"
        return "runs" if self.reasons else "may run" if self.changing else "fresh"

    @property
    def may_run(self) -> bool:
        """Whether the stage will run or may run."""
        return bool(self.reasons or self.changing) and self.is_available

    @property
    def is_certain(self) -> bool:
        """Whether the stage will run, whatever the earlier stages write."""
        return bool(self.reasons) and self.is_available

    def as_json(self) -> dict[str, str | list[str]]:
        """Give the state and the reasons, as `why --json` prints them."""
        return {"state": self.state, "reasons": self.list_reasons()}

    def list_reasons(self) -> list[str]:
        """List why the stage will run, or what that depends on; empty if it is fresh."""
        reasons = [*self.reasons]
        if self.changing and not reasons:
            reasons = [self._tell_condition()]
        return [*reasons, *([self.checkpoint.describe()] if self.checkpoint and reasons else [])]

    def describe(self) -> str:
        """Say whether the stage will run, and why; "" if it is fresh."""
        told = "; ".join(self.list_reasons())
        if not told or self.is_running:
            return told
        if self.has_changed and not self.reasons:
            return f"runs, {told}"
        return f"{self.state}: {told}"

    def _tell_condition(self) -> str:
        """Say under which condition on the earlier stages it runs."""
        if not self.has_changed:
            return f"if the output of {join(self.changing, 'or')} changes"
        write = "write" if self.changing[1:] else "writes"
        return f"unless {join(self.changing, 'and')} {write} again what it was built from"


def judge(build: Build, stages: Sequence[Stage], hashes: Hashes) -> list[Judgement]:
    """Judge stages in order, without writing anything.

    Raises:
        PersonaError: An output was edited by hand.

    """
    judgements: list[Judgement] = []
    stale: dict[Path, str] = {}
    for stage in stages:
        if absent := stage.unavailable(build):
            judgements.append(Judgement(stage.NAME, [absent], is_available=False))
            continue
        changing = _find_changing(stage, build, stale)
        reasons = freshness.find_reasons(stage, build, hashes, changing)
        if reasons or changing:
            stale[stage.output(build)] = stage.NAME
        stamp = stamps.read(build.folder, stage.NAME)
        judgement = Judgement(
            stage.NAME,
            reasons,
            stamp.summary if stamp else "",
            changing=tuple(dict.fromkeys(changing.values())),
            has_changed=freshness.has_changed(stage, build, hashes, changing),
            # With other inputs from an earlier stage, it cannot resume from the checkpoint.
            checkpoint=_find_checkpoint(stage, build, hashes) if reasons and not changing else None,
        )
        judgements.append(judgement)
    return judgements


def _find_changing(stage: Stage, build: Build, stale: dict[Path, str]) -> dict[Path, str]:
    """Find the files it reads that a stale stage will write, and the name of that stage."""
    try:
        paths = [file.path for file in list_files(stage.inputs(build))]
    except NotBuiltError as error:
        paths = [error.path]
    return {
        path: name
        for path in paths
        for output, name in stale.items()
        if path == output or path.is_relative_to(output)
    }


def _find_checkpoint(stage: Stage, build: Build, hashes: Hashes) -> Checkpoint | None:
    """Find the checkpoint of an interrupted attempt with the present inputs."""
    if not any((build.folder / publish.WORK).glob(f"{stage.NAME}-*")):
        return None
    try:
        description = freshness.describe(stage, build, stage.inputs(build), hashes)
    except NotBuiltError:
        return None
    scratch = publish.scratch_folder(stage, build, description)
    return stage.checkpoint(build, scratch) if scratch.is_dir() else None


def check(build: Build, stages: Sequence[Stage], judgements: list[Judgement]) -> None:
    """Run the checks of all stale stages, before any stage runs.

    Raises:
        PersonaError: A stage cannot finish; the error has the problems of all stages.

    """
    errors: list[PersonaError] = []
    for stage, judgement in zip(stages, judgements, strict=True):
        if judgement.may_run:
            try:
                stage.check(build)
            except PersonaError as error:
                errors.append(error)
    if len(errors) > 1:
        problems = dict.fromkeys(problem for error in errors for problem in error.problems)
        hint = next((error.hint for error in errors if error.hint), None)
        raise rebuild(type(errors[0]).__name__, list(problems), hint) from errors[0]
    if errors:
        raise errors[0]
