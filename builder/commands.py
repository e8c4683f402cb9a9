"""The commands: each parses what was typed, and calls."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from click import shell_completion

from builder import (
    __version__,
    arguments,
    authoring,
    cleaning,
    events,
    looking,
    packing,
    persona,
    targets,
    waterfall,
    workload,
)
from builder.arguments import DONE, MENDABLE, ROOT, read_name
from builder.arguments import name as name_argument
from builder.arguments import names as names_argument
from builder.command import command
from builder.console import Console
from builder.data import rows
from builder.engine import pipeline
from builder.engine.lock import locked
from builder.errors import GateError, PersonaError, ToolError, describe_refusal
from builder.project import Build, Options, Project

# Of a finding, what an event tells.
GATE_FIELDS = ("gate", "verdict", "mode", "right", "of", "baseline_right", "limit", "told")
# The shells' scripts set it when they ask for completions.
COMPLETION_VARIABLE = "_PERSONA_COMPLETE"


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="persona", message="%(prog)s %(version)s")
def commands() -> None:
    """Build personas into Ollama models.

    A persona is a folder in personas/: a manifest and a data file.
    """


for _command in (
    *(authoring.new, authoring.keys, authoring.bases),
    *(looking.list_, looking.diff),
    *(cleaning.clean, cleaning.remove),
    *(packing.pack, packing.unpack, packing.merged),
):
    commands.add_command(_command)


@commands.command()
@names_argument
@click.option(
    "--base",
    metavar="gpu|cpu|REPO",
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
        return DONE
    failed = []
    for name in names:
        if len(names) > 1:
            console.notes([f"── {name}"])
        console.persona = name
        try:
            _build(_read(name, **options), console)
        except PersonaError as error:
            console.error(error)
            failed.append(name)
    if failed and len(names) > 1:
        console.notes([f"failed: {', '.join(failed)}"])
    return MENDABLE if failed else DONE


def _build(build: Build, console: Console) -> None:
    try:
        outcome = pipeline.run(
            build, targets.MODEL.stages, console, lambda: workload.measure(build)
        )
    except PersonaError as error:
        _note_end(build, console)
        if isinstance(error, GateError):
            _tell_gates(build.refused, console)
            _write_report(build, console)
        raise
    _note_end(build, console)
    is_served = targets.MODEL.stages[-1].NAME not in outcome.skipped
    if outcome.has_run or not is_served:
        from builder import summary  # noqa: PLC0415 — imports numpy

        if outcome.has_run:
            model = build.persona.model if is_served else None
            console.notes(summary.summarize(build.smoke, name=build.name, model=model))
        if not is_served:
            console.notes(summary.tell_without_ollama(build.name))
    _tell_gates(build.smoke, console)
    _write_report(build, console)
    if console.prints_events:
        console.tell(
            events.BuildFinished(
                name=build.name,
                has_run=outcome.has_run,
                model=build.persona.model if is_served else None,
                file=str(build.gguf),
            )
        )
    else:
        console.result(build.persona.model if is_served else str(build.modelfile))


def _tell_gates(examination: Path, console: Console) -> None:
    """Print what each gate found, where events are printed."""
    if not console.prints_events or not examination.exists():
        return
    from builder.evaluation.report import read  # noqa: PLC0415 — imports numpy

    for finding in read(examination).gates:
        shown = {name: getattr(finding, name) for name in GATE_FIELDS}
        console.tell(events.GateJudged(name=console.persona, **shown))


def _note_end(build: Build, console: Console) -> None:
    """Add a build that has ended to its history; without one it has ended as well."""
    if not build.folder.is_dir():
        return
    from builder import history  # noqa: PLC0415 — reads what the page tells

    try:
        with locked(build.folder):
            history.append(build)
    except OSError as error:
        console.notes([f"no history: {error}"])
    except PersonaError:  # it has ended before there was anything to note, or goes on elsewhere
        return


def _write_report(build: Build, console: Console) -> None:
    """Write the page of a build that has ended; without a page it has ended as well."""
    from builder.report import page  # noqa: PLC0415 — imports numpy

    try:
        with locked(build.folder):
            console.notes([f"report: {page.write(build)}"])
    except (OSError, ToolError) as error:
        console.notes([f"no report: {error}"])


@commands.command()
@name_argument
@click.pass_obj
def report(console: Console, /, name: str) -> None:
    """Write the page of a build, and print its path."""
    from builder.report import page  # noqa: PLC0415 — imports numpy

    build = _read(name)
    _check_built(build, build.dataset)
    try:
        with locked(build.folder):
            console.result(str(page.write(build)))
    except OSError as error:
        raise describe_refusal(error, build.report) from error


@commands.command()
@name_argument
@click.option("--times", is_flag=True, help="Show where the time of the last build went.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def why(console: Console, /, name: str, *, times: bool, as_json: bool) -> None:
    """Say which stages would run, and why."""
    build = _read(name)
    if times:
        _check_built(build, build.dataset)
        waterfall.show(waterfall.read(build, targets.MODEL.stages), console, as_json=as_json)
        return
    judgements = pipeline.plan(build, targets.MODEL.stages)
    if as_json:
        _print_json({one.stage: one.reasons for one in judgements}, console)
        return
    for one in judgements:
        console.verdict(one.stage, one.reasons, one.summary)


@commands.command()
@name_argument
@click.argument("row", type=int, required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list, an object a row.")
@click.pass_obj
def show(console: Console, /, name: str, row: int | None, *, as_json: bool) -> None:
    """Show what is trained on, in colour: all rows, or one, counted from 1.

    Each is told with its file and line. Rows that are held out stand apart, at the end.
    """
    from builder import views  # noqa: PLC0415 — rich's tables

    build = _read(name)
    if any(one.is_stale for one in pipeline.plan(build, targets.ROWS.stages)):
        pipeline.run(build, targets.ROWS.stages, console)
    read = build.persona.manifest
    found = rows.read(build.persona.data_files, read.data, read.identity)
    shown = views.list_rows(build.dataset, found, row)
    if as_json:
        _print_json([asdict(one) for one in shown], console)
    else:
        views.show(build.dataset, build.base / "tokenizer.json", shown, console)


@commands.command()
@name_argument
@click.argument("question", required=False)
@click.option("--beside", is_flag=True, help="Show what the base answers beside it.")
@click.pass_obj
def chat(console: Console, /, name: str, question: str | None, *, beside: bool) -> None:
    """Talk to the built file, without Ollama; with a QUESTION, ask once and stop."""
    build = _read(name)
    _check_built(build, build.gguf)
    from builder.chat.talk import talk  # noqa: PLC0415 — loads llama.cpp

    talk(build, question=question, is_beside=beside, console=console)


@commands.command()
@name_argument
@click.option("--json", "as_json", is_flag=True, help="Print the examination as JSON.")
@click.pass_obj
def gates(console: Console, /, name: str, *, as_json: bool) -> int:
    """Ask the built file all questions of the gates."""
    from builder import views  # noqa: PLC0415 — rich's tables
    from builder.evaluation.report import read  # noqa: PLC0415 — imports numpy

    build = _read(name)
    _check_built(build, build.gguf, build.reference)
    pipeline.run(build, targets.GATES.stages, console, lambda: workload.measure(build))
    found = read(build.gates)
    if as_json:
        _print_json(found.as_json(), console)
    else:
        views.show_gates(found, console)
    return MENDABLE if found.failed else DONE


@commands.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list, an object a finding.")
@click.pass_obj
def doctor(console: Console, /, *, as_json: bool) -> int:
    """Say what this machine has for a build, what will be used, and what is missing."""
    from builder.doctor import examination  # noqa: PLC0415 — only here

    findings = []
    for finding in examination.examine():
        findings.append(finding)
        if not as_json:
            examination.show(finding, console)
    if as_json:
        _print_json([asdict(finding) for finding in findings], console)
    return MENDABLE if any(one.verdict == "problem" for one in findings) else DONE


@commands.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_obj
def completion(console: Console, /, shell: str) -> None:
    """Print a script that completes commands and names in a SHELL.

    For bash: eval "$(persona completion bash)" in ~/.bashrc; likewise for zsh in ~/.zshrc.
    For fish: persona completion fish > ~/.config/fish/completions/persona.fish
    """
    script = shell_completion.get_completion_class(shell)
    assert script is not None  # noqa: S101 — click knows the three
    console.result(script(commands, {}, "persona", COMPLETION_VARIABLE).source())


def _print_json(value: Any, console: Console) -> None:
    console.result(json.dumps(value, ensure_ascii=False))


def _check_built(build: Build, *paths: Path) -> None:
    if not all(path.exists() for path in paths):
        msg = f"{paths[0]}: is not there, expected a finished build"
        raise ToolError(msg, hint=command(f"build {build.name}"))


def _read(typed: str, **options: Any) -> Build:
    """Read a persona, and say where its build lies."""
    name = read_name(typed, set(persona.find(ROOT / "personas")))
    looking.check_project()
    return Project(ROOT).build(name, Options(**options))
