"""The commands for whoever writes a persona: new, and lists of what can be written."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from builder import scaffold
from builder.command import command
from builder.data.languages import DEFAULT, names
from builder.errors import PersonaError
from builder.importing import report, sources
from builder.manifest import packaged, schema
from builder.terminal.console import Console

PERSONAS = Path("personas")
LANGUAGES = packaged.list_languages()


def _read_languages(
    _context: click.Context, _parameter: click.Parameter, typed: tuple[str, ...]
) -> tuple[str, ...]:
    """Read the languages of one or several options; none is named where there is no option."""
    try:
        codes = [code for one in typed for code in names.read(one, LANGUAGES)]
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    return tuple(dict.fromkeys(codes))


def _complete_language(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[str]:
    return [code for code in LANGUAGES if code.startswith(incomplete)]


@click.command()
@click.argument("name", metavar="NAME")
@click.option("--name", "title", metavar="TEXT", help="What it calls itself.")
@click.option("--author", metavar="TEXT", help="Who made it.")
@click.option(
    "--language",
    "languages",
    multiple=True,
    metavar="LANGUAGE,...",
    callback=_read_languages,
    shell_complete=_complete_language,
    help=f"In which it is taught name and author: {', '.join(LANGUAGES)}, or by name.",
)
@click.option(
    "--from",
    "source",
    metavar="FILE|FOLDER|hf:OWNER/NAME",
    type=click.Path(path_type=Path),
    help="Conversations to begin with, in place of two examples.",
)
@click.pass_obj
def new(
    console: Console,
    /,
    *,
    name: str,
    title: str | None,
    author: str | None,
    languages: tuple[str, ...],
    source: Path | None,
) -> None:
    """Start a persona: a folder in personas/ with a short manifest and rows.

    What is not given is asked for; where standard input is no terminal it gets its default. With
    --from the persona has a name only where one is given.

    --from takes ChatGPT's conversations.json; jsonl or json of messages, ShareGPT, Alpaca or
    ChatML; a csv with columns such as question and answer; a data set's folder of parquet or
    jsonl, or hf:OWNER/NAME of one on the Hugging Face hub; and .txt or .md with lines that begin
    with Q: and A:.
    """
    folder = scaffold.check_folder(PERSONAS, name)
    title = None if title is None else scaffold.check_text("--name", title)
    author = None if author is None else scaffold.check_text("--author", author)
    imported = sources.read(source) if source else None
    console.pause()
    default = "" if imported else scaffold.title_of(name)
    if sys.stdin.isatty():
        title = title or _ask("What does it call itself?", default)
        if title:
            author = author or _ask("Who made it? (nothing: nobody is named)", "")
            languages = languages or _ask_languages()
    title = title or default or None
    if title is None and (author or languages):
        msg = "--author and --language are of a persona with a name, expected --name beside them"
        raise click.UsageError(msg)
    codes = languages or (DEFAULT,)
    rows = _list_rows(imported, codes)
    scaffold.create(
        scaffold.Draft(
            folder=folder,
            title=title,
            author=author or None,
            languages=codes,
            rows=rows,
        )
    )
    _tell(console, folder, imported)


def _list_rows(imported: sources.Import | None, codes: Sequence[str]) -> Sequence[dict[str, Any]]:
    if imported is None:
        return scaffold.example_rows(codes)
    return [{"messages": messages} for messages in imported.conversations]


def _tell(console: Console, folder: Path, imported: sources.Import | None) -> None:
    """Say what was written, and what comes next."""
    data = folder / scaffold.DATA
    if imported:
        for name, text in report.describe(imported, data):
            console.line(name, text)
        told = f"read {data}, then:"
    else:
        told = f"write your own rows in {data}, one conversation a line; then:"
    commands = (f"  {command(f'{verb} {folder.name}')}" for verb in ("show", "build"))
    console.notes([told, *commands])
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


def _ask_languages() -> tuple[str, ...]:
    """Ask for languages until each is one that has a pack."""

    def check(typed: str) -> tuple[str, ...]:
        try:
            return tuple(names.read(typed, LANGUAGES))
        except ValueError as error:
            raise click.BadParameter(str(error)) from None

    question = f"In which languages? {names.describe(LANGUAGES)}"
    codes: tuple[str, ...] = click.prompt(question, default=DEFAULT, value_proc=check, err=True)
    return codes


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list, an object a key.")
@click.pass_obj
def keys(console: Console, /, *, as_json: bool) -> None:
    """List the keys of persona.toml, with type, default and description."""
    found = schema.list_keys()
    if as_json:
        console.print_json([asdict(key) for key in found])
        return
    from builder.views import keys as view  # noqa: PLC0415 — only here

    view.show(found, console)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list, an object a base.")
@click.pass_obj
def bases(console: Console, /, *, as_json: bool) -> None:
    """List the bases that a persona can be built on, and what each takes."""
    from builder.bases import table  # noqa: PLC0415 — only here

    found = table.rows()
    if as_json:
        console.print_json([asdict(row) for row in found])
        return
    from builder.views import bases as view  # noqa: PLC0415 — rich's tables

    view.show(found, console)
