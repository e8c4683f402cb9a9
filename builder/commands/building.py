"""The `build` command: runs the stages that are stale, and reports the result."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from builder import targets, workers, workload
from builder.command import command
from builder.commands import arguments, looking
from builder.engine import pipeline, stamps
from builder.engine.lock import locked
from builder.engine.pool import Pool
from builder.errors import GateError, PersonaError, ToolError
from builder.machine import find_machine
from builder.project import Build
from builder.terminal import events
from builder.terminal.console import Console

# The fields of a gate's finding that its event has.
GATE_FIELDS = ("gate", "verdict", "mode", "right", "of", "baseline_right", "limit", "told")


@click.command()
@arguments.names
@click.option(
    "--base",
    metavar="gpu|cpu|REPO|FOLDER",
    callback=arguments.check_text,
    help="Build from this base, and remember it.",
)
@click.option("--allow-remote", is_flag=True, help="Register with a daemon on another machine.")
@click.option(
    "--replace", is_flag=True, help="Replace a model of that name that this build did not register."
)
@click.option(
    "--anyway", is_flag=True, help="Register it although a gate fails; the receipt says so."
)
@click.option("--discard", is_flag=True, help="Discard outputs edited by hand.")
@click.option("-v", "--verbose", is_flag=True, help="Show what libraries print as well.")
@click.option("-q", "--quiet", is_flag=True, help="Show errors and the result alone.")
@click.option("--json", "as_json", is_flag=True, help="Print an event a line, as JSON.")
@click.pass_obj
def build(
    console: Console,
    /,
    names: tuple[str, ...],
    *,
    verbose: bool,
    quiet: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Build personas; only what is stale runs."""
    if verbose and quiet:
        msg = "--verbose and --quiet are both given, expected one of them"
        raise click.UsageError(msg)
    console.detail = "verbose" if verbose else "quiet" if quiet else "normal"
    if as_json:
        console.print_events()
    if not names:
        console.notes([f"usage: {command('build NAME...')}", "the personas here are:"])
        looking.list_names(console)
        return arguments.DONE
    failed = []
    with Pool(keeps=_choose_kept(names)) as pool:
        for name in names:
            if len(names) > 1:
                console.notes([f"── {name}"])
            console.persona = name
            try:
                _build(arguments.read_build(name, **options), console, pool)
            except PersonaError as error:
                console.error(error)
                failed.append(name)
    if failed and len(names) > 1:
        console.notes([f"failed: {', '.join(failed)}"])
    return arguments.MENDABLE if failed else arguments.DONE


def _choose_kept(names: tuple[str, ...]) -> tuple[str, ...]:
    """Choose the workers that are kept for the next persona.

    With a GPU, importing Unsloth can take longer than training a persona, and its worker holds the
    base in the GPU's memory only.
    """
    return (workers.UNSLOTH,) if len(names) > 1 and find_machine().kind == "gpu" else ()


def _build(build: Build, console: Console, pool: Pool) -> None:
    before = stamps.list_changes(build.folder)
    try:
        result = pipeline.run(build, targets.MODEL, console, lambda: workload.measure(build), pool)
    except PersonaError as error:
        if stamps.list_changes(build.folder) != before:  # not refused before any stage ran
            _note_end(build, console)
        if isinstance(error, GateError):
            _tell_gates(build.refused, console)
            _write_report(build, console)
            _write_card(build, console)
        raise
    _note_end(build, console)
    is_served = targets.MODEL[-1].NAME not in result.skipped
    if result.has_run or not is_served:
        from builder.views import summary  # noqa: PLC0415 — imports numpy

        if result.has_run:
            model = build.persona.model if is_served else None
            console.notes(summary.summarize(build.smoke, name=build.name, model=model))
        if not is_served:
            console.notes(summary.tell_without_ollama(build.name))
    _tell_gates(build.smoke, console)
    _write_report(build, console)
    _write_card(build, console)
    if console.prints_events:
        console.tell(
            events.BuildFinished(
                name=build.name,
                has_run=result.has_run,
                model=build.persona.model if is_served else None,
                file=str(build.gguf),
            )
        )
    else:
        console.result(build.persona.model if is_served else str(build.modelfile))


def _tell_gates(examination: Path, console: Console) -> None:
    """Print an event for each gate, with `--json`."""
    if not console.prints_events or not examination.exists():
        return
    from builder.evaluation.report import read  # noqa: PLC0415 — imports numpy

    for finding in read(examination).gates:
        shown = {name: getattr(finding, name) for name in GATE_FIELDS}
        console.tell(events.GateJudged(name=console.persona, **shown))


def _note_end(build: Build, console: Console) -> None:
    """Add the finished build to the history; if that fails, only say so."""
    if not build.folder.is_dir():
        return
    from builder import history  # noqa: PLC0415 — imports numpy

    try:
        with locked(build.folder):
            history.append(build)
    except OSError as error:
        console.notes([f"no history: {error}"])
    except PersonaError:  # there is nothing to record yet, or another process builds it
        return


def _write_report(build: Build, console: Console) -> None:
    """Write the page of the finished build; if that fails, only say so."""
    from builder.report import page  # noqa: PLC0415 — imports numpy

    try:
        with locked(build.folder):
            console.notes([f"report: {page.write(build)}"])
    except (OSError, ToolError) as error:
        console.notes([f"no report: {error}"])


def _write_card(build: Build, console: Console) -> None:
    """Write the model card of the finished build; if that fails, only say so."""
    from builder.publication import card  # noqa: PLC0415 — imports numpy

    try:
        with locked(build.folder):
            card.write(build)
    except (OSError, PersonaError) as error:
        console.notes([f"no model card: {error}"])
