"""The commands that delete: `clean` deletes builds, and `remove` a model in Ollama."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import click

from builder import catalogue, disk, last_build, persona
from builder.command import command
from builder.commands import arguments
from builder.engine import lock
from builder.errors import ManifestError, PersonaError, describe_refusal
from builder.escapes import escape
from builder.ollama import claims, client, registered, removal
from builder.project import RECEIPT
from builder.terminal.console import Console
from builder.words import suggest


@dataclass(frozen=True, kw_only=True)
class Deletion:
    """A build, and whether it was deleted, as `clean --json` prints it."""

    name: str
    folder: str
    size_bytes: int
    model: str | None
    """The model that it registered with Ollama, which is kept."""
    is_deleted: bool = False


@dataclass(frozen=True, kw_only=True)
class Removal:
    """A model in Ollama, and whether it was removed, as `remove --json` prints it."""

    model: str
    digest: str
    url: str
    is_removed: bool = False


@click.command()
@arguments.names
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print one JSON list, an object a build; without --yes nothing is deleted.",
)
@click.pass_obj
def clean(console: Console, /, names: tuple[str, ...], *, yes: bool, as_json: bool) -> int:
    """Delete the builds of personas.

    With no name, say what each build takes.
    """
    lock.clear(arguments.ROOT / "build")  # a killed `clean` leaves folders without a build
    builds = [
        name
        for name in catalogue.list_builds(arguments.ROOT)
        if last_build.holds_any(arguments.ROOT / "build" / name)
    ]
    if not names:
        _tell_sizes(builds, console, as_json=as_json)
        return arguments.DONE
    named = _read_names(names, builds)
    found = [_look_at(name) for name in named if name in builds]
    console.notes(f"{name} has no build" for name in named if name not in builds)
    if as_json:
        found, code = _delete_all(found, console) if yes else (found, arguments.DONE)
        console.print_json([asdict(one) for one in found])
        return code
    console.notes(line for one in found for line in _foretell(one))
    if found and not yes and not arguments.confirm("Delete this?"):
        console.notes(["nothing was deleted"])
        return arguments.MENDABLE
    return _delete_all(found, console)[1]


def _read_names(typed: Sequence[str], builds: Sequence[str]) -> list[str]:
    """Read the names of personas and builds, each once.

    Raises:
        ManifestError: There is neither a persona nor a build of some name.

    """
    left = catalogue.list_builds(arguments.ROOT)
    known = {*persona.find(arguments.ROOT / "personas"), *builds, *left}
    names = list(dict.fromkeys(arguments.read_name(name, known) for name in typed))
    if unknown := [name for name in names if name not in known]:
        problems = (
            f"{arguments.ROOT / 'build' / name}: no such build, expected one{suggest(name, known)}"
            for name in unknown
        )
        raise ManifestError(*problems, hint=command("clean"))
    return names


def _look_at(name: str) -> Deletion:
    folder = arguments.ROOT / "build" / name
    receipt = registered.read(folder / RECEIPT)
    return Deletion(
        name=name,
        folder=str(folder),
        size_bytes=disk.measure_bytes(folder),
        model=receipt.model if receipt else None,
    )


def _tell_sizes(builds: Sequence[str], console: Console, *, as_json: bool) -> None:
    found = map(_look_at, builds)
    if as_json:
        console.print_json([asdict(one) for one in found])
        return
    told = "the builds here are:" if builds else "there is no build here"
    console.notes([f"usage: {command('clean NAME...')}", told])
    for one in found:
        console.result(f"{escape(one.name)}\t{_tell_size(one)}")


def _foretell(build: Deletion) -> Iterator[str]:
    """Say how much deleting a build frees, and what it leaves in Ollama."""
    yield f"{build.folder}  {_tell_size(build)}"
    if build.model is not None:
        take_out = command(f"remove {build.name}")
        yield f"  {build.model} stays in Ollama; `{take_out}` takes it out"


def _tell_size(build: Deletion) -> str:
    return f"{build.size_bytes / 1e9:.2f} GB"


def _delete_all(builds: Sequence[Deletion], console: Console) -> tuple[list[Deletion], int]:
    """Delete builds, also if one of them cannot be deleted.

    Returns:
        The builds, and the exit code.

    """
    done = [replace(build, is_deleted=_delete(Path(build.folder), console)) for build in builds]
    failed = [build.name for build in done if not build.is_deleted]
    if failed and len(done) > 1:
        console.notes([f"failed: {', '.join(failed)}"])
    return done, arguments.MENDABLE if failed else arguments.DONE


def _delete(folder: Path, console: Console) -> bool:
    """Delete a build but for its receipt; return whether it was deleted.

    The receipt tells which model in Ollama is this build's, so that it can be replaced and removed.
    """
    try:
        with lock.locked(folder):
            receipt = registered.read(folder / RECEIPT)
            claims.settle_before_cleaning(folder / ".work" / "claims")
            lock.delete(folder, kept=RECEIPT if receipt else None)
    except PersonaError as error:
        console.error(error)
        return False
    except OSError as error:
        console.error(describe_refusal(error, folder))
        return False
    kept = f", but for {RECEIPT}, the record of {receipt.model} in Ollama" if receipt else ""
    console.notes([f"{folder} is gone{kept}"])
    return True


@click.command()
@click.argument("name", metavar="NAME", shell_complete=arguments.complete_build)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--allow-remote", is_flag=True, help="Remove from a daemon on another machine.")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print one JSON list, an object a model; without --yes nothing is removed.",
)
@click.pass_obj
def remove(console: Console, /, name: str, *, yes: bool, allow_remote: bool, as_json: bool) -> int:
    """Take a persona's model out of Ollama.

    Its folder and its build stay.
    """
    builds = catalogue.list_builds(arguments.ROOT)
    folder = arguments.ROOT / "build" / arguments.read_name(name, set(builds))
    if not folder.is_dir():
        msg = f"{folder}: no such build, expected one{suggest(folder.name, builds)}"
        raise ManifestError(msg, hint=command("list"))
    registered = removal.Registered(receipt=folder / RECEIPT, claims=folder / ".work" / "claims")
    with lock.locked(folder):
        daemon = client.connect(allow_remote=allow_remote)
        models = registered.find(daemon)
        found = [Removal(model=one.name, digest=one.digest, url=daemon.url) for one in models]
        console.notes(f"{one.model}  {one.digest[:12]}  at {one.url}" for one in found)
        if models and not yes and not as_json and not arguments.confirm("Remove this from Ollama?"):
            console.notes(["nothing was removed"])
            return arguments.MENDABLE
        if yes or not as_json:
            registered.remove(daemon, models)
            found = [replace(one, is_removed=True) for one in found]
    if not found:
        console.notes([f"Ollama at {daemon.url} has no model of {folder.name}"])
    if as_json:
        console.print_json([asdict(one) for one in found])
        return arguments.DONE
    for one in found:
        console.result(f"removed {one.model}")
    return arguments.DONE
