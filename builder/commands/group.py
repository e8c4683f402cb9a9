"""The commands: each parses what was typed, and calls."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import click
from click import shell_completion

from builder import __version__, targets, workload
from builder.commands import arguments, authoring, building, cleaning, looking, packing, publishing
from builder.commands.arguments import DONE, MENDABLE
from builder.commands.arguments import name as name_argument
from builder.data import rows
from builder.engine import pipeline
from builder.engine.lock import locked
from builder.errors import describe_refusal
from builder.terminal.console import Console
from builder.views import waterfall

# The shells' scripts set it when they ask for completions.
COMPLETION_VARIABLE = "_PERSONA_COMPLETE"


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="persona", message="%(prog)s %(version)s")
def commands() -> None:
    """Build personas into Ollama models.

    A persona is a folder in personas/: a manifest and a data file.
    """


for _command in (
    authoring.new,
    authoring.keys,
    authoring.bases,
    building.build,
    looking.list_,
    looking.diff,
    cleaning.clean,
    cleaning.remove,
    packing.pack,
    packing.unpack,
    packing.merged,
    publishing.push,
):
    commands.add_command(_command)


@commands.command()
@name_argument
@click.pass_obj
def report(console: Console, /, name: str) -> None:
    """Write the page of a build, and print its path."""
    from builder.report import page  # noqa: PLC0415 — imports numpy

    build = arguments.read_build(name)
    arguments.check_built(build, build.dataset)
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
    build = arguments.read_build(name)
    if times:
        arguments.check_built(build, build.dataset)
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
    from builder.views import rows as view  # noqa: PLC0415 — imports numpy

    build = arguments.read_build(name)
    if any(one.is_stale for one in pipeline.plan(build, targets.ROWS.stages)):
        pipeline.run(build, targets.ROWS.stages, console)
    read = build.persona.manifest
    found = rows.read(build.persona.data_files, read.data, read.identity)
    shown = view.list_rows(build.dataset, found, row)
    if as_json:
        _print_json([asdict(one) for one in shown], console)
    else:
        view.show(build.dataset, build.base / "tokenizer.json", shown, console)


@commands.command()
@name_argument
@click.argument("question", required=False)
@click.option("--beside", is_flag=True, help="Show what the base answers beside it.")
@click.pass_obj
def chat(console: Console, /, name: str, question: str | None, *, beside: bool) -> None:
    """Talk to the built file, without Ollama; with a QUESTION, ask once and stop."""
    build = arguments.read_build(name)
    arguments.check_built(build, build.gguf)
    from builder.chat.talk import talk  # noqa: PLC0415 — loads llama.cpp

    talk(build, question=question, is_beside=beside, console=console)


@commands.command()
@name_argument
@click.option("--json", "as_json", is_flag=True, help="Print the examination as JSON.")
@click.pass_obj
def gates(console: Console, /, name: str, *, as_json: bool) -> int:
    """Ask the built file all questions of the gates."""
    from builder.evaluation.report import read  # noqa: PLC0415 — imports numpy
    from builder.views import gates as view  # noqa: PLC0415 — rich's tables

    build = arguments.read_build(name)
    arguments.check_built(build, build.gguf, build.reference)
    pipeline.run(build, targets.GATES.stages, console, lambda: workload.measure(build))
    found = read(build.gates)
    if as_json:
        _print_json(found.as_json(), console)
    else:
        view.show(found, console)
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
