"""Stages in order: which are stale and why, and running those that are."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from builder import files
from builder.engine import freshness, publish
from builder.engine.clock import Clock, Timing
from builder.engine.forecast import Step, Workload
from builder.engine.hashes import Hashes
from builder.engine.lock import locked, read_lock
from builder.engine.pool import Pool
from builder.engine.stage import Build, Checkpoint, Stage, Work, list_files
from builder.engine.worker import Task
from builder.errors import NotBuiltError, PersonaError, describe_refusal
from builder.terminal import chatter
from builder.terminal.console import Console


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
    checkpoint: Checkpoint | None = None
    """Where it goes on from, if it runs."""
    is_running: bool = False
    """Whether nothing could be judged, as a build of it is running."""

    @property
    def is_stale(self) -> bool:
        """Whether the stage runs, or may run."""
        return bool(self.reasons or self.changing) and self.is_available

    @property
    def is_certain(self) -> bool:
        """Whether the stage runs, whatever the stages before it write."""
        return bool(self.reasons) and self.is_available

    def list_reasons(self) -> list[str]:
        """Say why the stage runs, or on what that depends; nothing where it is fresh."""
        reasons = [*self.reasons]
        if self.changing and not reasons:
            reasons = [f"only if the output of {_join_or(self.changing)} changes"]
        return [*reasons, *([self.checkpoint.describe()] if self.checkpoint and reasons else [])]

    def describe(self) -> str:
        """Say in words whether the stage runs, and why; nothing where it is fresh."""
        told = "; ".join(self.list_reasons())
        if not told or self.is_running:
            return told
        if not self.is_available:
            return f"does not run: {told}"
        return f"runs: {told}" if self.reasons else f"checked, runs {told}"


@dataclass(frozen=True)
class Outcome:
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
            judgements = _judge(build, stages, Hashes(build.folder))
            _check(build, stages, judgements)
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
) -> Outcome:
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
        judgements = _judge(build, stages, hashes)
        _check(build, stages, judgements)
        steps = [_as_step(one) for one in judgements if one.is_stale]
        clock = Clock(steps, measure() if measure and steps else None)
        if steps:
            clock.tell(console)
        stale = [step.stage for step in steps]
        modules = {stage.NAME: stage.worker(build) for stage in stages if stage.NAME in stale}
        runner = _Runner(build, console, hashes, workers=workers, modules=modules, clock=clock)
        skipped = [stage.NAME for stage in stages if not runner.advance(stage)]
        hashes.save()
        return Outcome(runner.has_run, tuple(skipped))


@contextlib.contextmanager
def _explaining_refusals(build: Build) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise describe_refusal(error, build.folder) from error


def _judge(build: Build, stages: Sequence[Stage], hashes: Hashes) -> list[Judgement]:
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
        stamp = freshness.read_stamp(stage, build)
        judgement = Judgement(
            stage.NAME,
            reasons,
            stamp.summary if stamp else "",
            changing=tuple(dict.fromkeys(changing.values())),
            checkpoint=_find_checkpoint(stage, build, hashes) if reasons or changing else None,
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


def _as_step(judgement: Judgement) -> Step:
    found = judgement.checkpoint
    return Step(
        stage=judgement.stage,
        has_new_inputs=bool(judgement.changing),
        is_certain=judgement.is_certain,
        left_share=1 - found.done / found.of if found and found.of else 1.0,
    )


def _join_or(names: Sequence[str]) -> str:
    return " or ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def _check(build: Build, stages: Sequence[Stage], judgements: list[Judgement]) -> None:
    """Tell what would keep a stale stage from finishing, before any stage runs."""
    for stage, judgement in zip(stages, judgements, strict=True):
        if judgement.is_stale:
            stage.check(build)


class _Runner:
    """Runs one stage after the other.

    Args:
        build: The build.
        console: Tells a person what runs.
        hashes: What is known of the files' content.
        workers: The processes of heavy stages.
        modules: The workers' modules of the stages that are likely to run, in order; None is the
            main process. The worker of the next one starts before it is needed.
        clock: Foretells the build, and notes what its stages take.

    """

    def __init__(
        self,
        build: Build,
        console: Console,
        hashes: Hashes,
        *,
        workers: Pool,
        modules: dict[str, str | None],
        clock: Clock,
    ) -> None:
        self.build, self.console, self.hashes = build, console, hashes
        self.workers, self.modules, self.clock = workers, modules, clock
        self.has_run = False
        workers.prepare(self._find_next_module(None), build.folder / "logs")

    def _find_next_module(self, current: str | None) -> str | None:
        """Find the module whose worker is to start now, while the current one's runs.

        Beside a GPU that is the next other one. What it imports would take the memory of a model
        that trains on the processor: there it starts with the last stage of the current worker.
        """
        modules = filter(None, self.modules.values())
        if self.build.machine.kind == "gpu":
            return next((module for module in modules if module != current), None)
        return next(modules, None)

    def advance(self, stage: Stage) -> bool:
        """Run a stage if it is stale; say whether it can run here at all."""
        self.modules.pop(stage.NAME, None)
        if absent := stage.unavailable(self.build):
            self.console.skipped(stage.NAME, absent)
            return False
        reasons = freshness.find_reasons(stage, self.build, self.hashes)
        if reasons:
            self._run(stage, reasons)
            self.has_run = True
        else:
            publish.settle(stage, self.build)
            stamp = freshness.read_stamp(stage, self.build)
            self.console.fresh(stage.NAME, stamp.summary if stamp else "")
        return True

    def _run(self, stage: Stage, reasons: list[str]) -> None:
        place = self.clock.forecast.place(stage.NAME)
        self.console.started(stage.NAME, reasons, stage.WORDS, place)
        with self.clock.timing(stage.NAME, stage.WORDS) as timing:
            summary = self._run_timed(stage, timing)
        self.console.done(stage.NAME, timing.took_s, summary)

    def _run_timed(self, stage: Stage, timing: Timing) -> str:
        """Run a stage and publish its output; give its summary."""
        build = self.build
        inputs = stage.inputs(build)
        description = freshness.describe(stage, build, inputs, self.hashes)
        scratch = publish.scratch_folder(stage, build, description)
        out = build.folder / publish.NEW / stage.output(build).name
        work = Work(out=out, scratch=scratch, machine=build.machine)
        timing.is_resumed = scratch.is_dir() and any(scratch.iterdir())
        files.remove(out.parent)
        publish.remove_scratch(stage, build, other_than=scratch)
        for folder in (out.parent, scratch, build.folder / "logs"):
            folder.mkdir(parents=True, exist_ok=True)
        try:
            summary = self._run_here_or_there(stage, inputs, work)
            timing.end_work()
            publish.publish(
                stage,
                build,
                out,
                description=description,
                summary=summary,
                took_s=timing.elapsed_s,
                hashes=self.hashes,
                spans=timing.spans,
            )
            stage.note(build)
        except PersonaError as error:
            freshness.note_failure(stage, build, str(error))
            raise
        except OSError as error:
            refusal = describe_refusal(error, stage.output(build))
            freshness.note_failure(stage, build, str(refusal))
            raise refusal from error
        files.remove(out.parent)
        publish.settle(stage, build)
        return summary

    def _run_here_or_there(self, stage: Stage, inputs: object, work: Work) -> str:
        log_path = self.build.folder / "logs" / f"{stage.NAME}.log"
        with self.console.following(log_path):
            return self._run_logged(stage, inputs, work, log_path)

    def _run_logged(self, stage: Stage, inputs: object, work: Work, log_path: Path) -> str:
        first_module = stage.worker(self.build)
        if first_module is None:
            with chatter.divert(log_path):
                return stage.run(inputs, work)
        module = str(getattr(stage, "__name__", ""))
        task = Task(module=module, name=stage.NAME, inputs=inputs, work=work, log_path=log_path)
        return self.workers.run(
            task, first_module, next_module=self._find_next_module(first_module)
        )
