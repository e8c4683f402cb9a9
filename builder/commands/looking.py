"""The commands that show personas, builds and the machine, and change no model."""

from __future__ import annotations

from dataclasses import asdict

import click

from builder import catalogue, last_build, persona, targets, words
from builder.bases import base
from builder.catalogue import Entry
from builder.command import command
from builder.commands import arguments
from builder.data import dataset, rows
from builder.engine import lock, pipeline
from builder.engine.lock import locked
from builder.errors import ManifestError, ToolError, describe_refusal
from builder.escapes import escape
from builder.project import HISTORY
from builder.terminal.console import Console
from builder.views import waterfall

HEADS = ("persona", "state", "base", "size", "gates", "Ollama")
STYLES = {
    "built": "green",
    "refused": "bold red",
    "stopped": "bold red",
    "stale?": "yellow",
    "half built": "yellow",
    "in use": "cyan",
}
NONE_YET = "there is no persona yet: `{}` begins one"


@click.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list, an object a persona.")
@click.pass_obj
def list_(console: Console, /, *, as_json: bool) -> None:
    """List the personas and what their last builds came to.

    "--anyway": a gate failed, and this option let the build through. "stale?": a file has changed
    since; `why` says whether that matters. --json has more fields.
    """
    arguments.check_listing()
    lock.clear(arguments.ROOT / "build")  # a killed `clean` leaves folders without a build
    entries = list(catalogue.read(arguments.ROOT))
    if as_json:
        console.print_json([asdict(entry) for entry in entries])
        return
    if not entries:
        console.notes([NONE_YET.format(command("new NAME"))])
        return
    from builder.terminal import grid  # noqa: PLC0415 — only here

    styles = [["bold", STYLES.get(entry.state, "dim"), "", "", "", ""] for entry in entries]
    grid.show(HEADS, [_as_row(entry) for entry in entries], console, styles)


def list_names(console: Console) -> None:
    """Print the personas' names, one a line."""
    arguments.check_listing()
    for name in persona.find(arguments.ROOT / "personas"):
        console.result(escape(name))


def _as_row(entry: Entry) -> tuple[str, ...]:
    state = f"stopped at {entry.stopped_at}" if entry.state == "stopped" else entry.state
    if entry.state == "built" and entry.let_through:
        state = "--anyway"
    model = (entry.model or "").removesuffix(":latest")
    size = "" if entry.size_bytes is None else f"{entry.size_bytes / 1e9:.2f} GB"
    return entry.name, state, entry.base or "", size, _tell_gates(entry), model


def _tell_gates(entry: Entry) -> str:
    if entry.passed is None:
        return ""
    told = [f"{entry.passed} passed"]
    told += [f"{len(entry.failed)} failed"] if entry.failed else []
    # Of those that failed and stop nothing: the page says "failed as advice", which is too long.
    told += [f"{entry.advised} advice"] if entry.advised else []
    return ", ".join(told)


@click.command()
@arguments.name
@click.option("--times", is_flag=True, help="Show where the time of the last build went.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def why(console: Console, /, name: str, *, times: bool, as_json: bool) -> None:
    """Say which stages would run, and why."""
    build = arguments.read_build(name)
    if times:
        arguments.check_built(build, build.dataset)
        waterfall.show(waterfall.read(build, targets.MODEL), console, as_json=as_json)
        return
    with console.deferring():
        planned = pipeline.plan(build, targets.MODEL)
        judgements = planned.judgements
        if as_json:
            stages = [stage.NAME for stage in targets.MODEL]
            running = next((one.as_json() for one in judgements if one.is_running), None)
            told = {one.stage: one.as_json() for one in judgements}
            console.print_json(dict.fromkeys(stages, running) if running else told)
        else:
            for one in judgements:
                console.verdict(one.stage, one.describe(), one.summary)
        if planned.problem:
            raise planned.problem


@click.command()
@arguments.name
@click.argument("row", type=int, required=False)
@click.option("--all", "is_whole", is_flag=True, help="Show each row of packs, too.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list, an object a row.")
@click.pass_obj
def show(console: Console, /, name: str, row: int | None, *, is_whole: bool, as_json: bool) -> None:
    """Show the rows that are trained on, in colour.

    Those are your own and two of each pack, or one by its number.

    Each is told with its file and line. Rows that are held out stand apart, at the end.
    """
    from builder.views import rows as view  # noqa: PLC0415 — imports numpy

    build = arguments.read_build(name)
    if any(one.may_run for one in pipeline.plan(build, targets.ROWS).judgements):
        pipeline.run(build, targets.ROWS, console)
    read = build.persona.manifest
    found = rows.read(build.persona.data_files, read.data, read.identity)
    shown = view.list_rows(build.dataset, found, row)
    if as_json:
        console.print_json([asdict(one) for one in shown])
    else:
        view.show(build, shown, console, is_whole=is_whole or row is not None)


@click.command()
@arguments.name
@click.pass_obj
def report(console: Console, /, name: str) -> None:
    """Write the page of a build, and print its path."""
    from builder.report import page  # noqa: PLC0415 — imports numpy

    build = arguments.read_build(name)
    arguments.check_built(build, build.base / base.FACTS, build.dataset / dataset.PROFILE)
    if last_build.find_examination(build.folder) is None:
        unfinished = f"{build.name} is only partly built, and no gate has judged it"
        console.notes([f"{unfinished}: `{command(f'build {build.name}')}` finishes it"])
    try:
        with locked(build.folder):
            console.result(str(page.write(build)))
    except OSError as error:
        raise describe_refusal(error, build.report) from error


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list, an object a finding.")
@click.pass_obj
def doctor(console: Console, /, *, as_json: bool) -> int:
    """Say what this machine has for a build, and what is missing."""
    from builder.doctor import examination  # noqa: PLC0415 — only here

    findings = []
    for finding in examination.examine():
        findings.append(finding)
        if not as_json:
            examination.show(finding, console)
    if as_json:
        console.print_json([asdict(finding) for finding in findings])
    has_problem = any(one.verdict == "problem" for one in findings)
    return arguments.MENDABLE if has_problem else arguments.DONE


@click.command()
@click.argument("name", metavar="NAME", shell_complete=arguments.complete_build)
@click.argument("other", metavar="[OTHER]", required=False, shell_complete=arguments.complete_build)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, with every answer.")
@click.pass_obj
def diff(console: Console, /, name: str, other: str | None, *, as_json: bool) -> None:
    """Compare the last two builds of NAME that differ.

    With OTHER, compare its last build with that of NAME.

    It tells the settings that differ, the gates' figures, and the answers that differ.
    """
    arguments.check_project()
    from builder import comparison, history  # noqa: PLC0415 — only here
    from builder.views import comparison as view  # noqa: PLC0415 — rich's tables

    first_name, second_name = _read_name(name), _read_name(other) if other else None
    first = history.read(arguments.ROOT / "build" / first_name)
    needed = 1 if second_name else 2
    _check_count(first_name, len(first), needed)
    if second_name:
        second = history.read(arguments.ROOT / "build" / second_name)
        _check_count(second_name, len(second), needed)
        found = comparison.compare(first[-1], second[-1], (first_name, second_name))
    else:
        found = comparison.compare(first[-2], first[-1], ("before", "last"))
    if as_json:
        console.print_json(asdict(found))
        return
    view.show(found, console)
    for each in dict.fromkeys([first_name, second_name or first_name]):
        if _is_unfinished(each):
            which = f"the present build of {each} has not come to the gates, and is not compared"
            console.notes([f"{which}: `{command(f'build {each}')}` goes on with it"])


def _read_name(typed: str) -> str:
    """Read the name of a build, or of a persona that is not built.

    Raises:
        ManifestError: There is neither.

    """
    known = {*persona.find(arguments.ROOT / "personas"), *catalogue.list_builds(arguments.ROOT)}
    name = arguments.read_name(typed, known)
    if name not in known:
        folder = arguments.ROOT / "build" / name
        msg = f"{folder}: no such build, expected one{words.suggest(name, known)}"
        raise ManifestError(msg, hint=command("list"))
    return name


def _check_count(name: str, count: int, needed: int) -> None:
    if count < needed:
        folder = arguments.ROOT / "build" / name / HISTORY
        expected = "one at least" if needed == 1 else "two that differ"
        builds = words.count(count, "build")
        msg = f"{folder}: has {builds} that came to the gates, expected {expected}"
        build = command(f"build {name}")
        if not count or _is_unfinished(name):
            raise ToolError(msg, hint=build)
        raise ToolError(msg, hint=f"change something, then {build}")


def _is_unfinished(name: str) -> bool:
    """Say whether a build has begun whose file was not examined yet."""
    folder = arguments.ROOT / "build" / name
    try:
        return last_build.has_begun(folder) and last_build.find_examination(folder) is None
    except ToolError:  # it was examined, by another version of this project
        return False
