"""The commands for whoever writes a persona: new, and lists of what can be written."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from builder import packaged, scaffold, schema
from builder.command import command
from builder.console import Console
from builder.data.languages import DEFAULT
from builder.errors import PersonaError

PERSONAS = Path("personas")
LANGUAGES = packaged.list_languages()


@click.command()
@click.argument("name", metavar="NAME")
@click.option("--name", "title", metavar="TEXT", help="What it calls itself.")
@click.option("--author", metavar="TEXT", help="Who made it.")
@click.option(
    "--language",
    "languages",
    multiple=True,
    type=click.Choice(LANGUAGES),
    help="A language in which it is taught name and author; may be given several times.",
)
@click.pass_obj
def new(
    console: Console,
    /,
    name: str,
    title: str | None,
    author: str | None,
    languages: tuple[str, ...],
) -> None:
    """Start a persona: a folder in personas/ with a short manifest and two rows.

    What is not given is asked for; where standard input is no terminal it gets its default.
    """
    folder = scaffold.check_folder(PERSONAS, name)
    title = None if title is None else scaffold.check_text("--name", title)
    author = None if author is None else scaffold.check_text("--author", author)
    if sys.stdin.isatty():
        title = title or _ask("What does it call itself?", scaffold.title_of(name))
        author = author or _ask("Who made it? (nothing: nobody is named)", "") or None
        languages = languages or _ask_languages([DEFAULT])
    title = title or scaffold.title_of(name)
    codes = list(dict.fromkeys(languages)) or [DEFAULT]
    rows = scaffold.example_rows(codes)
    scaffold.create(
        scaffold.Draft(folder=folder, title=title, author=author, languages=codes, rows=rows)
    )
    console.notes(
        [
            f"write your own rows in {folder / scaffold.DATA}, one conversation a line; then:",
            f"  {command(f'show {name}')}",
            f"  {command(f'build {name}')}",
        ]
    )
    console.result(str(folder))


def _ask(question: str, default: str) -> str:
    """Ask until the answer is a text that can be seen, or nothing where that is the default."""

    def check(typed: str) -> str:
        try:
            return scaffold.check_text("the answer", typed) if typed != default else typed
        except PersonaError as error:
            raise click.BadParameter(error.problems[0]) from None

    answer: str = click.prompt(
        question, default=default, show_default=bool(default), value_proc=check, err=True
    )
    return answer


def _ask_languages(default: Sequence[str]) -> tuple[str, ...]:
    """Ask for codes of languages until each is one that has a pack."""

    def check(typed: str) -> tuple[str, ...]:
        codes = tuple(re.findall(r"\w+", typed.casefold()))
        unknown = [code for code in codes if code not in LANGUAGES]
        if unknown or not codes:
            what = f"{unknown[0]!r} has no pack" if unknown else "no language is named"
            raise click.BadParameter(f"{what}, expected some of {', '.join(LANGUAGES)}")
        return codes

    question = f"In which languages? ({', '.join(LANGUAGES)})"
    codes: tuple[str, ...] = click.prompt(
        question, default=" ".join(default), value_proc=check, err=True
    )
    return codes


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list, an object a key.")
@click.pass_obj
def keys(console: Console, /, *, as_json: bool) -> None:
    """List the keys of persona.toml, with type, default and description."""
    found = schema.list_keys()
    if as_json:
        console.result(json.dumps([asdict(key) for key in found], ensure_ascii=False))
        return
    from builder import views  # noqa: PLC0415 — imports numpy

    views.show_keys(found, console)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list, an object a base.")
@click.pass_obj
def bases(console: Console, /, *, as_json: bool) -> None:
    """List the bases that a persona can be built on, and what each takes."""
    from builder.bases import table  # noqa: PLC0415 — only here

    found = table.rows()
    if as_json:
        console.result(json.dumps([asdict(row) for row in found], ensure_ascii=False))
        return
    from builder import views  # noqa: PLC0415 — imports numpy

    views.show_bases(found, console)
