"""The commands that ask a built file: `chat` and `gates`."""

from __future__ import annotations

import click

from builder import targets, workload
from builder.commands import arguments
from builder.engine import pipeline
from builder.terminal.console import Console


@click.command()
@arguments.name
@click.argument("question", required=False)
@click.option("--beside", is_flag=True, help="Show what the base answers beside it.")
@click.pass_obj
def chat(console: Console, /, name: str, question: str | None, *, beside: bool) -> None:
    """Talk to the built file, without Ollama.

    With a QUESTION, ask once and stop.
    """
    build = arguments.read_build(name)
    arguments.check_built(build, build.gguf)
    from builder.chat.talk import talk  # noqa: PLC0415 — loads llama.cpp

    if question is not None:
        # Bytes that are not UTF-8 arrive as lone surrogates.
        question = question.encode("utf-8", "replace").decode()
    talk(build, question=question, is_beside=beside, console=console)


@click.command()
@arguments.name
@click.option("--json", "as_json", is_flag=True, help="Print the examination as JSON.")
@click.pass_obj
def gates(console: Console, /, name: str, *, as_json: bool) -> int:
    """Ask the built file all questions of the gates."""
    from builder.evaluation.report import read  # noqa: PLC0415 — imports numpy
    from builder.views import gates as view  # noqa: PLC0415 — rich's tables

    build = arguments.read_build(name)
    arguments.check_built(build, build.gguf, build.reference)
    pipeline.run(build, targets.GATES, console, lambda: workload.measure(build))
    found = read(build.gates)
    if as_json:
        console.print_json(found.as_json())
    else:
        view.show(found, console)
    return arguments.MENDABLE if found.failed else arguments.DONE
