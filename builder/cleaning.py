"""The commands that take away: clean takes builds, and remove a model that stands in Ollama."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from builder import arguments, catalogue, disk, persona
from builder.command import command
from builder.console import Console
from builder.engine import lock
from builder.errors import ManifestError, PersonaError, describe_refusal
from builder.ollama import claims, client, registration, removal


@click.command()
@arguments.names
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def clean(console: Console, /, names: tuple[str, ...], *, yes: bool) -> int:
    """Delete the builds of personas; with no name, say what each build takes."""
    builds = catalogue.list_builds(arguments.ROOT)
    if not names:
        console.notes([f"usage: {command('clean NAME...')}", "the builds here are:"])
        for name in builds:
            console.result(f"{name}\t{_tell_size(arguments.ROOT / 'build' / name)}")
        return arguments.DONE
    known = {*persona.find(arguments.ROOT / "personas"), *builds}
    typed = dict.fromkeys(arguments.read_name(name, known) for name in names)
    if unknown := [name for name in typed if name not in known]:
        problems = (
            f"{arguments.ROOT / 'build' / name}: no such build{persona.suggest(name, known)}"
            for name in unknown
        )
        raise ManifestError(*problems, hint=command("clean"))
    folders = [arguments.ROOT / "build" / name for name in typed if name in builds]
    console.notes(f"{name} has no build" for name in typed if name not in builds)
    console.notes(line for folder in folders for line in _foretell(folder))
    if folders and not yes and not arguments.confirm("Delete this?"):
        console.notes(["nothing was deleted"])
        return arguments.MENDABLE
    return _delete_all(folders, console)


def _foretell(folder: Path) -> Iterator[str]:
    """Say what deleting a build frees, and what it leaves in Ollama."""
    yield f"{folder}  {_tell_size(folder)}"
    receipt = registration.read_receipt(folder / "registered.json")
    if receipt is not None:
        take_out = command(f"remove {folder.name}")
        yield f"  {receipt.model} stays in Ollama; `{take_out}`, before this, takes it out"


def _tell_size(folder: Path) -> str:
    return f"{disk.measure_bytes(folder) / 1e9:.2f} GB"


def _delete_all(folders: list[Path], console: Console) -> int:
    """Delete builds, each whether the one before could be deleted or not."""
    failed = []
    for folder in folders:
        try:
            with lock.locked(folder):
                claims.settle_before_cleaning(folder / ".work" / "claims")
                lock.delete(folder)
        except PersonaError as error:
            console.error(error)
            failed.append(folder.name)
        except OSError as error:
            console.error(describe_refusal(error, folder))
            failed.append(folder.name)
        else:
            console.notes([f"{folder} is gone"])
    if failed and len(folders) > 1:
        console.notes([f"failed: {', '.join(failed)}"])
    return arguments.MENDABLE if failed else arguments.DONE


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
        if models and not yes and not arguments.confirm("Remove this from Ollama?"):
            console.notes(["nothing was removed"])
            return arguments.MENDABLE
        registered.remove(daemon, models)
    if not models:
        console.notes([f"Ollama at {daemon.url} has no model of {folder.name}"])
    for model in models:
        console.result(f"removed {model.name}")
    return arguments.DONE
