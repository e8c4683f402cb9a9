"""Stages in order: which are stale and why, and running those that are."""

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
    """Whether anything was stale."""
    skipped: tuple[str, ...]
    """Stages that cannot run on this machine."""


def plan(build: Build, stages: Sequence[Stage]) -> list[Judgement]:
    """Judge stages; run none, and write nothing.

    While a build is running, or where one began meanwhile, the one judgement says so.

    Raises:
        PersonaError: An output was edited by hand, or a stale stage could not finish.

    """
    judgements: list[Judgement] = []
    failure: OSError | PersonaError | None = None
    before = read_lock(build.folder)
    if not before.is_held:
        try:
            judgements = judge(build, stages, Hashes(build.folder))
            check(build, stages, judgements)
        except (OSError, PersonaError) as error:
            failure = error  # which may be no more than a file seen half-way into its place
    after = read_lock(build.folder)
    if before.is_held or after != before:
        running = f"is being built by process {after.process}"
        return [Judgement(build.name, [running], is_running=True)]
    if failure:
        raise failure
    return judgements


def run(
    build: Build,
    stages: Sequence[Stage],
    console: Console,
    measure: Callable[[], Workload] | None = None,
    pool: Pool | None = None,
) -> Result:
    """Run the stages that are stale, in order.

    Args:
        build: What is built.
        stages: Its stages.
        console: What a person sees.
        measure: Says what decides how long the stages take; None foretells and notes nothing.
        pool: The worker processes, where another build follows that may use them again.

    Raises:
        PersonaError: A stage failed; what was good before it is still there.

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
