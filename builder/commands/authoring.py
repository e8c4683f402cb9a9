"""The commands for writing a persona: `new`, and the lists `keys` and `bases`."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import click

from builder import scaffold
from builder.command import command
from builder.commands import arguments, questions
from builder.commands.questions import LANGUAGES
from builder.data import examples, kinds
from builder.data.languages import DEFAULT, count_languages, names
from builder.data.rows import Row
from builder.data.texts import find_opening
from builder.importing import report, sources
from builder.manifest import schema
from builder.terminal.console import Console
from builder.views import draft as view

PERSONAS = Path("personas")
IDENTITY, FORMAT = "identity", "format"
# The first word of a reply in a format, such as `dish:`, `{dish:`, `1.` or `##`.
FORMAT_OPENING = re.compile(r"[\d{\[<#*|-]|.*[:=]$")
NAMED = "--name, --author and --language"


def _read_languages(
    _context: click.Context, _parameter: click.Parameter, typed: tuple[str, ...]
) -> tuple[str, ...]:
    """Read the languages of all options; empty without an option."""
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
@click.argument("name", metavar="[NAME]", required=False)
@click.option(
    "--kind",
    type=click.Choice(tuple(scaffold.KINDS)),
    help="What it is: an identity by default, or with --from what the rows show.",
)
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
    type=arguments.FilledPath("a file, a folder or hf:OWNER/NAME"),
    help="Conversations to begin with, in place of examples.",
)
@click.pass_obj
def new(
    console: Console,
    /,
    *,
    name: str | None,
    kind: str | None,
    title: str | None,
    author: str | None,
    languages: tuple[str, ...],
    source: Path | None,
) -> None:
    """Start a persona: a folder with a short manifest and rows.

    An identity has a name and an author, a voice a manner of speaking, a format a form of every
    answer, such as JSON. A voice and a format begin as a copy of one that comes with the project.

    What is not given is asked for; where standard input is not a terminal it gets its default. With
    --from the persona has a name only where one is given.

    --from takes ChatGPT's conversations.json; jsonl or json of messages, ShareGPT, Alpaca or
    ChatML; a csv with columns such as question and answer; a data set's folder of parquet or
    jsonl, or hf:OWNER/NAME of one on the Hugging Face hub; and .txt or .md with lines that begin
    with Q: and A:.
    """
    if name is None:
        name = _ask_name(console)
    folder = scaffold.check_folder(PERSONAS, name)
    given = _Choice(
        kind=kind,
        title=None if title is None else scaffold.check_text("--name", title),
        author=None if author is None else scaffold.check_text("--author", author),
        languages=languages,
    )
    _check(given)
    imported = sources.read(source) if source else None
    console.pause()
    chosen = _complete(given, scaffold.title_of(name), imported)
    codes = chosen.languages or _find_languages(imported)
    draft = scaffold.Draft(
        folder=folder,
        title=chosen.title,
        author=chosen.author,
        languages=codes,
        rows=_list_rows(imported, codes),
        kind=None if chosen.kind == IDENTITY else chosen.kind,
        example=None if imported or chosen.kind is None else examples.find(chosen.kind),
    )
    told = view.describe(draft, is_imported=imported is not None)
    scaffold.create(draft)
    if imported:
        for head, text in report.describe(imported, folder / scaffold.DATA):
            console.line(head, text)
    console.notes([*told, *(f"  {command(f'{verb} {folder.name}')}" for verb in ("show", "build"))])
    console.result(str(folder))


def _ask_name(console: Console) -> str:
    """Ask for the name of the folder.

    Raises:
        UsageError: There is no terminal.

    """
    if not sys.stdin.isatty():
        msg = "no NAME was given, expected one for its folder in personas/"
        raise click.UsageError(msg, click.get_current_context())
    console.pause()
    return questions.ask_folder(PERSONAS)


@dataclass(frozen=True, kw_only=True)
class _Choice:
    """The user's choices for a new persona; None and "" are not chosen yet."""

    kind: str | None
    title: str | None
    author: str | None
    languages: tuple[str, ...]

    @property
    def is_named(self) -> bool:
        """Whether it has a name, or an author or a language, which need one."""
        return bool(self.title or self.author or self.languages)


def _check(given: _Choice) -> None:
    if given.is_named and given.kind not in (None, IDENTITY):
        own = f"the rows of an {IDENTITY} may also have a {given.kind}"
        raise click.UsageError(f"{NAMED} need --kind {IDENTITY}; {own}")


def _complete(given: _Choice, title: str, imported: sources.Import | None) -> _Choice:
    """Ask for what is not chosen yet, or use the defaults if there is no terminal.

    Args:
        given: The choices on the command line.
        title: The default name.
        imported: Imported rows, if any.

    """
    asks = sys.stdin.isatty()
    kind = given.kind
    if asks and kind is None and not given.is_named:
        shown = _recognise(imported) if imported else IDENTITY
        kind = questions.ask_choice("What kind of persona is it?", scaffold.KINDS, shown)
    if kind not in (None, IDENTITY):
        return replace(given, kind=kind)
    default = "" if imported and kind is None else title
    chosen, author, languages = given.title, given.author, given.languages
    if asks:
        # An author or a language needs a name, which has no default here.
        shown_name = None if given.is_named and not default else default
        chosen = chosen or questions.ask_text("What does it call itself?", shown_name)
        if chosen:
            author = author or questions.ask_text("Who made it? (nothing: nobody is named)", "")
            languages = languages or questions.ask_languages(_find_languages(imported))
    if not (chosen or default) and given.is_named:
        raise click.UsageError("--author and --language need --name beside --from")
    return _Choice(
        kind=kind, title=chosen or default or None, author=author or None, languages=languages
    )


def _recognise(imported: sources.Import) -> str:
    """Recognise the kind of a persona without a name from its conversations."""
    replies = [Row("", messages).replies for messages in imported.conversations]
    opening = find_opening([reply for each in replies for reply in each])
    if opening and FORMAT_OPENING.match(opening):
        return FORMAT
    return kinds.recognise(replies, ())[0].name


def _find_languages(imported: sources.Import | None) -> tuple[str, ...]:
    """Find the languages of imported replies that have a pack; English if there are none."""
    conversations = imported.conversations if imported else []
    replies = (reply for messages in conversations for reply in Row("", messages).replies)
    found = (code for code in count_languages(replies) if code in questions.LANGUAGES)
    return tuple(found) or (DEFAULT,)


def _list_rows(imported: sources.Import | None, codes: Sequence[str]) -> Sequence[dict[str, Any]]:
    if imported is None:
        return scaffold.example_rows(codes)
    return [{"messages": messages} for messages in imported.conversations]


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list, an object a key.")
@click.pass_obj
def keys(console: Console, /, *, as_json: bool) -> None:
    """List the keys of persona.toml: type, default, description."""
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
    """List the bases that a persona can be built on.

    --json has the weights, the licence and what that asks for, too.
    """
    from builder.bases import table  # noqa: PLC0415 — only here

    found = table.rows()
    if as_json:
        console.print_json([asdict(row) for row in found])
        return
    from builder.views import bases as view  # noqa: PLC0415 — rich's tables

    view.show(found, console)
