"""The questions of `new` at the terminal, each repeated until it is answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import click

from builder import scaffold
from builder.data.languages import DEFAULT, names
from builder.errors import PersonaError
from builder.manifest import packaged

LANGUAGES = packaged.list_languages()
T = TypeVar("T")


def ask_text(question: str, default: str | None) -> str:
    """Ask for a visible text; an empty answer gives the default.

    Args:
        question: The question.
        default: The answer for an empty line; None asks again.

    """

    def check(typed: str) -> str:
        return typed if typed == default else scaffold.check_text("the answer", typed)

    return _ask(question, default, check)


def ask_folder(personas: Path) -> str:
    """Ask for the name of a new persona's folder, by which `ollama run` knows it."""

    def check(typed: str) -> str:
        scaffold.check_folder(personas, typed)
        return typed

    return _ask("What is its folder in personas/ called, such as nova?", None, check)


def ask_languages(default: Sequence[str] = (DEFAULT,)) -> tuple[str, ...]:
    """Ask for languages that have a pack."""
    question = f"In which languages? {names.describe(LANGUAGES)}"
    return _ask(question, ",".join(default), lambda typed: tuple(names.read(typed, LANGUAGES)))


def ask_choice(question: str, choices: Mapping[str, str], default: str) -> str:
    """Ask for one of some words, which may be abbreviated.

    Args:
        question: The question, shown below the words.
        choices: The words and their meanings.
        default: The answer for an empty line.

    """

    def check(typed: str) -> str:
        plain = typed.strip().casefold()
        found = [word for word in choices if plain and word.startswith(plain)]
        if len(found) != 1:
            raise ValueError(f"{typed!r:.60} is none of them, expected one of {', '.join(choices)}")
        return found[0]

    width = max(map(len, choices))
    for word, meaning in choices.items():
        click.echo(f"  {word:{width}}  {meaning}", err=True)
    return _ask(question, default, check)


def _ask(question: str, default: str | None, check: Callable[[str], T]) -> T:
    """Ask until an answer passes a check, and return the result of the check."""

    def tell(typed: str) -> T:
        try:
            return check(typed)
        except PersonaError as error:
            raise click.BadParameter(error.problems[0]) from None
        except ValueError as error:
            raise click.BadParameter(str(error)) from None

    answer: T = click.prompt(
        question, default=default, show_default=bool(default), value_proc=tell, err=True
    )
    return answer
