"""The commands that take a build elsewhere: `pack`, `unpack`, and `merged` for other programs."""

from __future__ import annotations

import time
from pathlib import Path

import click

from builder import targets
from builder.archive import placement, writer
from builder.archive.listing import Listing
from builder.command import command
from builder.commands import arguments
from builder.engine import pipeline
from builder.engine.judgement import Judgement
from builder.errors import PersonaError
from builder.project import Project
from builder.terminal.console import Console

SUFFIX = ".persona"


@click.command()
@arguments.name
@click.option(
    "--output",
    "-o",
    metavar="FILE",
    type=arguments.FilledPath("a file or a folder"),
    help=f"Where to write it; NAME{SUFFIX} here by default.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what is in it as one JSON object.")
@click.pass_obj
def pack(console: Console, /, name: str, output: Path | None, *, as_json: bool) -> None:
    """Write a persona and its build into one file.

    Another machine goes on from there.

    In it are the manifest, its data files and base.lock, the GGUF, the Modelfile, the adapter, and
    what the stages noted. Left out are what only this machine needs: caches, logs, checkpoints,
    the receipt of Ollama.
    """
    build = arguments.read_build(name)
    arguments.check_built(build, build.gguf)
    out = output or Path(f"{build.name}{SUFFIX}")
    out = out / f"{build.name}{SUFFIX}" if out.is_dir() else out
    began_s = time.monotonic()
    console.started("pack", [f"{build.name} into {out}"])
    listing = writer.write(build, out)
    size_bytes = out.stat().st_size
    console.done("pack", time.monotonic() - began_s, f"{size_bytes / 1e6:,.1f} MB")
    if as_json:
        values = {"file": str(out), "size_bytes": size_bytes, **listing.model_dump(by_alias=True)}
        console.print_json(values)
        return
    console.notes(_list_sizes(listing))
    if not any(member.path.endswith("/smoke.json") for member in listing.members):
        console.notes(["without smoke.json: the gates are asked where it is unpacked"])
    console.notes([f"on the other machine: {command(f'unpack {out.name}')}"])
    console.result(str(out))


@click.command()
@click.argument("source", metavar="FILE", type=arguments.FilledPath("a file of `pack`"))
@click.option("--replace", is_flag=True, help="Replace a persona and a build of that name.")
@click.option("--json", "as_json", is_flag=True, help="Print the stages that would run, as JSON.")
@click.pass_obj
def unpack(console: Console, /, source: Path, *, replace: bool, as_json: bool) -> None:
    """Check a file of `pack`, and put what it holds in place."""
    began_s = time.monotonic()
    console.started("unpack", [str(source)])
    build = placement.unpack(source, Project(arguments.ROOT), is_replacing=replace)
    console.done("unpack", time.monotonic() - began_s, f"{build.persona.folder}, {build.folder}")
    problems: tuple[str, ...] = ()
    hint: str | None = None
    stale: list[Judgement] = []
    problem: PersonaError | None
    try:
        planned = pipeline.plan(build, targets.MODEL)
        stale, problem = [one for one in planned.judgements if one.may_run], planned.problem
    except PersonaError as error:
        problem = error
    if problem:  # of this machine, such as a model of that name in Ollama
        problems, hint = problem.problems, problem.hint
    if as_json:
        reasons = {one.stage: one.list_reasons() for one in stale}
        console.print_json({"persona": build.name, "stale": reasons, "problems": list(problems)})
        return
    for one in stale:
        console.line(one.stage, one.describe(), style="yellow")
    run = command(f"build {build.name}")
    if problems:
        told = [f"  {problem}" for problem in problems]
        told += [f"hint: {hint}"] if hint else []
        console.notes([f"it is in place, and this would stop `{run}` here:", *told])
    else:
        console.notes([f"these run on this machine: {run}"])
    console.result(build.name)


@click.command()
@arguments.name
@click.pass_obj
def merged(console: Console, /, name: str) -> None:
    """Write the model in 16 bit, for transformers and vLLM.

    In it are the trained chat template, and the sampling and stops that Ollama is told. What is
    stale of the training runs first; neither gates nor Ollama are asked.
    """
    build = arguments.read_build(name)
    pipeline.run(build, targets.MERGED, console)
    if build.decide_served().system:
        console.notes(["its system text is not in it: begin conversations with [ollama] system"])
    console.result(str(build.merged))


def _list_sizes(listing: Listing) -> list[str]:
    """List the members of an archive, with one line for each folder of a stage."""
    sizes: dict[str, int] = {}
    for member in listing.members:
        top, name, *inner = member.path.split("/")
        shown = "/".join([top, name, inner[0]]) if top == "build" else member.path
        sizes[shown] = sizes.get(shown, 0) + member.size_bytes
    return [f"  {size_bytes / 1e6:>9,.2f} MB  {path}" for path, size_bytes in sizes.items()]
