"""The commands that take away: clean takes builds, and remove a model that stands in Ollama."""

from __future__ import annotations

import sys

import click

from builder import arguments, catalogue, persona
from builder.command import command
from builder.console import Console
from builder.engine import lock
from builder.errors import ManifestError
from builder.ollama import claims, client, removal


@click.command()
@arguments.names
@click.pass_obj
def clean(console: Console, /, names: tuple[str, ...]) -> None:
    """Delete the builds of personas; with no name, say what each build takes."""
    builds = catalogue.list_builds(arguments.ROOT)
    if not names:
        console.notes([f"usage: {command('clean NAME...')}", "the builds here are:"])
        for folder in (arguments.ROOT / "build" / name for name in builds):
            size_bytes = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
            console.result(f"{folder.name}\t{size_bytes / 1e9:.2f} GB")
        return
    known = {*persona.find(arguments.ROOT / "personas"), *builds}
    for name in [arguments.read_name(typed, known) for typed in names]:
        folder = arguments.ROOT / "build" / name
        if name not in known:
            msg = f"{folder}: no such build{persona.suggest(name, known)}"
            raise ManifestError(msg, hint=command("clean"))
        if folder.is_dir():
            with lock.locked(folder):
                claims.settle_before_cleaning(folder / ".work" / "claims")
                lock.delete(folder)
        console.notes([f"{folder} is gone"])


@click.command()
@click.argument("name", metavar="NAME", shell_complete=arguments.complete_build)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--allow-remote", is_flag=True, help="Remove from a daemon on another machine.")
@click.pass_obj
def remove(console: Console, /, name: str, *, yes: bool, allow_remote: bool) -> int:
    """Take a persona's model out of Ollama; its folder and its build stay."""
    builds = catalogue.list_builds(arguments.ROOT)
    folder = arguments.ROOT / "build" / arguments.read_name(name, set(builds))
    if not folder.is_dir():
        msg = f"{folder}: no such build, expected one{persona.suggest(folder.name, builds)}"
        raise ManifestError(msg, hint=command("list"))
    registered = removal.Registered(
        receipt=folder / "registered.json", claims=folder / ".work" / "claims"
    )
    with lock.locked(folder):
        daemon = client.connect(allow_remote=allow_remote)
        models = registered.find(daemon)
        console.notes([f"{model.name}  {model.digest[:12]}  at {daemon.url}" for model in models])
        if models and not yes and not _confirm("Remove this from Ollama?"):
            console.notes(["nothing was removed"])
            return arguments.MENDABLE
        registered.remove(daemon, models)
    if not models:
        console.notes([f"Ollama at {daemon.url} has no model of {folder.name}"])
    for model in models:
        console.result(f"removed {model.name}")
    return arguments.DONE


def _confirm(question: str) -> bool:
    if not sys.stdin.isatty():
        msg = "standard input is no terminal, where nobody can be asked, expected --yes"
        raise click.UsageError(msg)
    return click.confirm(question, err=True)
