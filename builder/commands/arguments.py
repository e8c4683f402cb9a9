"""Arguments of the commands: completes names in a shell, and reads personas and builds."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from builder import catalogue, last_build, persona
from builder.command import command
from builder.engine.lock import read_lock
from builder.errors import ManifestError, ToolError
from builder.escapes import escape
from builder.project import Build, Options, Project

DONE, MENDABLE = 0, 1
ROOT = Path()


def _complete_name(
    context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[str]:
    """Complete the name of a persona."""
    typed = context.params.get("names") or ()
    names = persona.find(ROOT / "personas")
    return [name for name in names if name.startswith(incomplete) and name not in typed]


def complete_build(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[str]:
    """Complete the name of a build, also without a persona."""
    return [name for name in catalogue.list_builds(ROOT) if name.startswith(incomplete)]


def names(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the argument NAME... to a command."""
    return click.argument("names", nargs=-1, metavar="NAME...", shell_complete=_complete_name)(
        function
    )


def name(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the argument NAME to a command."""
    return click.argument("name", metavar="NAME", shell_complete=_complete_name)(function)


def check_text(_context: click.Context, _parameter: click.Parameter, typed: str | None) -> Any:
    """Refuse an option that is blank or is not valid text, as it is stored and sent to the hub.

    A blank is usually a shell variable that is not set.
    """
    try:
        (typed or "").encode()
    except UnicodeEncodeError:
        raise click.BadParameter("is not UTF-8, expected text") from None
    if typed is not None and not typed.strip():
        raise click.BadParameter("is blank, expected text")
    return typed


class FilledPath(click.Path):
    """A path that is not blank: a blank is usually a shell variable that is not set.

    Args:
        expected: What is expected, for the message.

    """

    def __init__(self, expected: str) -> None:
        super().__init__(path_type=Path)
        self.expected = expected

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Refuse a blank."""
        if not str(value).strip():
            self.fail(f"is blank, expected {self.expected}", param, ctx)
        return super().convert(value, param, ctx)


def describe_missing(missing: click.Parameter | None) -> str | None:
    """Say which personas there are, if NAME is missing; None of another argument."""
    if missing is None or missing.metavar != "NAME":
        return None
    known = persona.find(ROOT / "personas") if (ROOT / "personas").is_dir() else []
    there = ", ".join(map(escape, known))
    return f"no NAME was given, expected a persona: {there}" if known else None


def read_name(typed: str, known: set[str]) -> str:
    """Read NAME or personas/NAME, as a shell completes it.

    Raises:
        ManifestError: It is another path, or is not a valid name.

    """
    found = typed.rstrip("/").removeprefix("personas/")
    if "/" in found:
        msg = f"{typed!r:.60} is a path, expected the name of a folder in personas/"
        raise ManifestError(msg)
    return persona.check_name(found, known)


def read_build(typed: str, **options: Any) -> Build:
    """Read a persona, and return its build.

    Raises:
        ManifestError: There is no such persona, or its manifest is wrong.

    """
    found = read_name(typed, set(persona.find(ROOT / "personas")))
    check_project()
    return Project(ROOT).build(found, Options(**options))


def check_project() -> None:
    """Check that this folder holds personas.

    Raises:
        ManifestError: It does not.

    """
    if not (ROOT / "personas").is_dir():
        msg = "personas/: no such folder here, expected one with a folder for each persona"
        raise ManifestError(msg, hint="go to the folder that holds it, or make personas/NAME/")


def check_listing() -> None:
    """Check that this folder holds personas, and that they can be listed.

    Raises:
        ManifestError: It does not.
        ToolError: They cannot.

    """
    check_project()
    try:
        next((ROOT / "personas").iterdir(), None)
    except OSError as error:
        why = error.strerror or error
        raise ToolError(f"personas/: {why}, expected a folder that can be read") from None


def check_built(build: Build, *paths: Path) -> None:
    """Check that a build has the files that a command needs.

    Raises:
        ToolError: It has not.

    """
    missing = next((path for path in paths if not path.exists()), None)
    if missing is None:
        return
    hint = command(f"build {build.name}")
    stop, lock = last_build.find_stop(build.folder), read_lock(build.folder)
    if lock.is_held:
        what, hint = f"is in use by process {lock.process}", "wait for it"
    elif stop:
        what = f"is half built: its last build stopped at {stop.stage} ({stop.message})"
    elif last_build.has_begun(build.folder):
        what = f"is half built: {missing.relative_to(build.folder)} is not there yet"
    else:
        what = "was never built"
    raise ToolError(f"{build.name}: {what}, expected a finished build", hint=hint)


def confirm(question: str) -> bool:
    """Ask the user at the terminal to confirm.

    Raises:
        UsageError: There is no terminal.

    """
    if not sys.stdin.isatty():
        msg = "standard input is not a terminal, so nobody can be asked, expected --yes"
        raise click.UsageError(msg)
    return click.confirm(question, err=True)
