"""Runs the stages of a build one after the other, and publishes their outputs."""

from __future__ import annotations

from pathlib import Path

from builder import files
from builder.engine import freshness, publish, stamps
from builder.engine.child import Task
from builder.engine.clock import Clock, Timing
from builder.engine.hashes import Hashes
from builder.engine.pool import Pool
from builder.engine.stage import Build, Stage, Work
from builder.errors import PersonaError, ToolError, describe_refusal
from builder.terminal import chatter
from builder.terminal.console import Console


class Runner:
    """Runs one stage after the other.

    Args:
        build: The build.
        console: Shows what runs.
        hashes: Hashes of the files.
        workers: The worker processes of heavy stages.
        modules: The worker module of each stage that is likely to run, in order; None is the main
            process. The next worker is started before it is needed.
        clock: Forecasts and measures how long the stages take.

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
        _check_logs(build.folder / "logs")
        workers.prepare(self._find_next_module(None), build.folder / "logs")

    def _find_next_module(self, current: str | None) -> str | None:
        """Find the module whose worker should start now, while the current worker runs.

        With a GPU that is the next different module. Without one, its imports would take memory
        from the model that is training, so it starts with the last stage of the current worker.
        """
        modules = filter(None, self.modules.values())
        if self.build.machine.kind == "gpu":
            return next((module for module in modules if module != current), None)
        return next(modules, None)

    def advance(self, stage: Stage) -> bool:
        """Run a stage if it is stale; return whether it can run on this machine."""
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
            stamp = stamps.read(self.build.folder, stage.NAME)
            self.console.fresh(stage.NAME, stamp.summary if stamp else "")
        return True

    def _run(self, stage: Stage, reasons: list[str]) -> None:
        place = self.clock.forecast.place(stage.NAME)
        self.console.started(stage.NAME, reasons, stage.WORDS, place)
        with self.clock.timing(stage.NAME, stage.WORDS) as timing:
            summary = self._run_timed(stage, timing)
        self.console.done(stage.NAME, timing.took_s, summary)

    def _run_timed(self, stage: Stage, timing: Timing) -> str:
        """Run a stage and publish its output; return its summary."""
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
                sha256=work.read_sha256(),
                spans=timing.spans,
            )
            stage.note(build)
        except PersonaError as error:
            stamps.note_failure(build.folder, stage.NAME, str(error))
            raise
        except OSError as error:
            refusal = describe_refusal(error, stage.output(build))
            stamps.note_failure(build.folder, stage.NAME, str(refusal))
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


def _check_logs(folder: Path) -> None:
    """Check that each log is a regular file: opening a pipe would wait for ever.

    Raises:
        ToolError: It is something else.

    """
    for path in folder.glob("*.log"):
        try:
            files.check_file(path)
        except FileNotFoundError:  # a link that leads nowhere
            continue
        except ValueError as error:
            raise ToolError(str(error), hint=f"delete {path}") from None
