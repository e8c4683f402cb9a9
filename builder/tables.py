"""What all tables read from TOML or JSON have in common, and how their mistakes are told."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from builder.escapes import quote

# Of one file; with more of them the first are enough to see what is wrong.
MOST_PROBLEMS = 20
# Rows that share a mistake and are still told one by one, and those of more that are listed.
MOST_ALIKE, SHOWN_PLACES = 3, 10
# In the words of a person who writes TOML, where pydantic's are of Python.
RULES = {
    "model_type": "a table",
    "dict_type": "a table",
    "tuple_type": "a list",
    "string_type": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
}
T = TypeVar("T")


class Table(BaseModel):
    """A table that takes no unknown key and never changes."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Settings(Table):
    """A table that a person writes: no value is converted, so that `true` is not 1."""

    model_config = ConfigDict(strict=True)


def read_record(values: Any, kind: type[T]) -> T | None:
    """Make a dataclass, or a list of them, of what JSON held; None where it is of another form."""
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError:
        return None


def tell_first(mistakes: Sequence[T], tell: Callable[[T], str]) -> list[str]:
    """Make sentences of the first mistakes of a file, and a last one that counts the rest."""
    told = [tell(mistake) for mistake in mistakes[:MOST_PROBLEMS]]
    left = len(mistakes) - len(told)
    return [*told, f"  and {left:,} more in the same file"] if left else told


def tell_alike(mistakes: Sequence[tuple[str, str]], rows: int) -> list[str]:
    """Make sentences of mistakes: one that many rows share is told once, with how many they are.

    Args:
        mistakes: The place of a row, and what is wrong with it.
        rows: How many rows there are, those without a mistake too.

    """
    places: dict[str, list[str]] = {}
    for where, what in mistakes:
        places.setdefault(what, []).append(where)
    problems = []
    for where, what in mistakes:
        alike = places[what]
        if len(alike) <= MOST_ALIKE:
            problems.append(f"{where}: {what}")
        elif where == alike[0]:
            told = f"all {rows:,} rows" if len(alike) == rows else _list_places(alike, rows)
            problems.append(f"{where}: {what}; the same in {told}")
    return problems


def _list_places(places: Sequence[str], rows: int) -> str:
    """Count places, and list the numbers of the first: those of the rest would fill the screen."""
    first, *_ = places
    file = first.rstrip(string.digits)
    numbers = [place.removeprefix(file) for place in places if place.startswith(file)]
    shown = ", ".join(numbers[:SHOWN_PLACES]) + (", …" if numbers[SHOWN_PLACES:] else "")
    return f"{len(places):,} of {rows:,} rows ({shown})"


def describe_rule(mistake: Any) -> str:
    """Say what pydantic expected in place of a value."""
    rule = re.sub(r"^\w+ should (?:be |have )?", "", mistake["msg"])
    return RULES.get(mistake["type"], rule.removesuffix(" after validation, not 0"))


def list_problems(where: str, table: type[BaseModel], error: ValidationError) -> list[str]:
    """Say the mistakes in one of the project's own tables, the first twenty of them.

    Args:
        where: The file, and the line where it has one table a line.
        table: What the file must hold.
        error: What pydantic found.

    """
    keys = ", ".join(table.model_fields)

    def tell(mistake: Any) -> str:
        key = ".".join(map(str, mistake["loc"]))
        match mistake["type"]:
            case "extra_forbidden":
                return f"{where}: unknown key {quote(key)}, expected some of {keys}"
            case "missing":
                return f"{where}: {key!r} is missing, expected it"
            case "value_error":
                return f"{where}: {mistake['ctx']['error']}"
            case _:
                shown, rule = quote(mistake["input"]), describe_rule(mistake)
                return f"{where}: {quote(key)} is {shown}, expected {rule}"

    return tell_first(error.errors(include_url=False), tell)
