"""Judges the stages of a build in order, and runs those that are stale."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from builder.engine import publish
from builder.engine.clock import Clock
from builder.engine.forecast import Step, Workload
from builder.engine.hashes import Hashes
from builder.engine.judgement import Judgement, check, judge
from builder.engine.lock import locked, read_lock
from builder.engine.pool import Pool
from builder.engine.runner import Runner
from builder.engine.stage import Build, Stage
from builder.errors import PersonaError, describe_refusal
from builder.terminal.console import Console


@dataclass(frozen=True)
class Result:
    """What a build did."""

    has_run: bool
    """Whether any stage was stale."""
    skipped: tuple[str, ...]
    """Stages that cannot run on this machine."""


@dataclass(frozen=True)
class Plan:
    """What a build would do."""

    judgements: list[Judgement]
    problem: PersonaError | None = None
    """Why a stale stage could not finish, so that the build would stop at once."""


def plan(build: Build, stages: Sequence[Stage]) -> Plan:
    """Say which stages are stale and why, without running or writing anything.

    If the build is running, or began meanwhile, the only judgement says so.

    Raises:
        PersonaError: An output was edited by hand, or an input cannot be read.

    """
    judgements: list[Judgement] = []
    problem: PersonaError | None = None
    failure: OSError | PersonaError | None = None
    before = read_lock(build.folder)
    if not before.is_held:
        try:
            judgements = judge(build, stages, Hashes(build.folder))
            problem = _find_problem(build, stages, judgements)
        except (OSError, PersonaError) as error:
            failure = error  # or a build that began meanwhile was just moving a file
    after = read_lock(build.folder)
    if before.is_held or after != before:
        running = f"is being built by process {after.process}"
        return Plan([Judgement(build.name, [running], is_running=True)])
    if failure:
        raise failure
    return Plan(judgements, problem)


def _find_problem(
    build: Build, stages: Sequence[Stage], judgements: list[Judgement]
) -> PersonaError | None:
    try:
        check(build, stages, judgements)
    except PersonaError as error:
        return error
    return None


def run(
    build: Build,
    stages: Sequence[Stage],
    console: Console,
    measure: Callable[[], Workload] | None = None,
    pool: Pool | None = None,
) -> Result:
    """Run the stale stages, in order.

    Args:
        build: The build.
        stages: Its stages.
        console: Shows progress.
        measure: Measures the workload; without it nothing is forecast, and no times are recorded.
        pool: Worker processes to share with the next build; by default this build has its own.

    Raises:
        PersonaError: A stage failed; the last good outputs are still there.

    """
    with (
        _explaining_refusals(build),
        locked(build.folder),
        contextlib.nullcontext(pool) if pool else Pool() as workers,
    ):
        publish.clear(build, stages)
        hashes = Hashes(build.folder)
        judgements = judge(build, stages, hashes)
        check(build, stages, judgements)
        steps = [_as_step(one) for one in judgements if one.may_run]
        clock = Clock(steps, measure() if measure and steps else None)
        if steps:
            clock.tell(console)
        stale = [step.stage for step in steps]
        modules = {stage.NAME: stage.worker(build) for stage in stages if stage.NAME in stale}
        runner = Runner(build, console, hashes, workers=workers, modules=modules, clock=clock)
        skipped = [stage.NAME for stage in stages if not runner.advance(stage)]
        hashes.save()
        return Result(runner.has_run, tuple(skipped))


@contextlib.contextmanager
def _explaining_refusals(build: Build) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise describe_refusal(error, build.folder) from error


def _as_step(judgement: Judgement) -> Step:
    found = judgement.checkpoint
    return Step(
        stage=judgement.stage,
        has_new_inputs=bool(judgement.changing),
        is_certain=judgement.is_certain,
        left_share=1 - found.done / found.of if found and found.of else 1.0,
    )
