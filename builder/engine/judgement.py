"""Which stages run or may run, and why: by their inputs and by those that others may write."""

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
    """Why it runs, whatever the stages before it write."""
    summary: str = ""
    is_available: bool = True
    changing: tuple[str, ...] = ()
    """The stages before it that may write something else of what it reads."""
    has_changed: bool = False
    """Whether what those wrote differs already from what it was built from."""
    checkpoint: Checkpoint | None = None
    """Where it goes on from, if it runs."""
    is_running: bool = False
    """Whether nothing could be judged, as a build of it is running."""

    @property
    def state(self) -> State:
        """What the stage does, in a word or two."""
        if self.is_running:
            return "being built"
        if not self.is_available:
            return "does not run"
        return "runs" if self.reasons else "may run" if self.changing else "fresh"

    @property
    def may_run(self) -> bool:
        """Whether the stage runs, or may run."""
        return bool(self.reasons or self.changing) and self.is_available

    @property
    def is_certain(self) -> bool:
        """Whether the stage runs, whatever the stages before it write."""
        return bool(self.reasons) and self.is_available

    def as_json(self) -> dict[str, str | list[str]]:
        """Give the state and the reasons, as `why --json` prints them."""
        return {"state": self.state, "reasons": self.list_reasons()}

    def list_reasons(self) -> list[str]:
        """Say why the stage runs, or on what that depends; nothing where it is fresh."""
        reasons = [*self.reasons]
        if self.changing and not reasons:
            reasons = [self._tell_condition()]
        return [*reasons, *([self.checkpoint.describe()] if self.checkpoint and reasons else [])]

    def describe(self) -> str:
        """Say in words whether the stage runs, and why; nothing where it is fresh."""
        told = "; ".join(self.list_reasons())
        if not told or self.is_running:
            return told
        if self.has_changed and not self.reasons:
            return f"runs, {told}"
        return f"{self.state}: {told}"

    def _tell_condition(self) -> str:
        """Say on what the stages before it depends whether it runs."""
        if not self.has_changed:
            return f"if the output of {join(self.changing, 'or')} changes"
        write = "write" if self.changing[1:] else "writes"
        return f"unless {join(self.changing, 'and')} {write} again what it was built from"


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
            # What a stage before it will write is no longer what the checkpoint was made of.
            checkpoint=_find_checkpoint(stage, build, hashes) if reasons and not changing else None,
        )
        judgements.append(judgement)
    return judgements


def _find_changing(stage: Stage, build: Build, stale: dict[Path, str]) -> dict[Path, str]:
    """Find the files that a stage reads of stages that run or may run, and name those stages."""
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
    """Find what a try with the inputs that are there now left, if that was cut short."""
    if not any((build.folder / publish.WORK).glob(f"{stage.NAME}-*")):
        return None
    try:
        description = freshness.describe(stage, build, stage.inputs(build), hashes)
    except NotBuiltError:
        return None
    scratch = publish.scratch_folder(stage, build, description)
    return stage.checkpoint(build, scratch) if scratch.is_dir() else None


def check(build: Build, stages: Sequence[Stage], judgements: list[Judgement]) -> None:
    """Check what every stale stage needs, before any stage runs.

    Raises:
        PersonaError: One could not finish; what keeps others from it is in the same error.

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
