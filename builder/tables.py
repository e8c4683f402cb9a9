"""Tables read from TOML or JSON, and messages about the mistakes in them."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from builder.escapes import quote

# The most problems shown for one file.
MOST_PROBLEMS = 20
# How many rows with the same mistake are named one by one; of more, how many are listed.
MOST_ALIKE, SHOWN_PLACES = 3, 10
# pydantic's types in the words of TOML.
RULES = {
    "model_type": "a table",
    "dict_type": "a table",
    "tuple_type": "a list",
    "list_type": "a list",
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
}
BOUNDS = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
T = TypeVar("T")


class Table(BaseModel):
    """A frozen table that refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Settings(Table):
    """A table that a user writes. Values are not converted: `true` is not 1."""

    model_config = ConfigDict(strict=True)
    refused_keys: ClassVar[Mapping[str, str]] = {}
    """Keys that a user may expect, and why there are none."""


def read_record(values: Any, kind: type[T]) -> T | None:
    """Make a dataclass, or a list of them, from JSON values; None if they do not fit."""
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError:
        return None


def tell_first(mistakes: Sequence[T], tell: Callable[[T], str]) -> list[str]:
    """Write a sentence for each of the first mistakes of a file, and one that counts the rest."""
    told = [tell(mistake) for mistake in mistakes[:MOST_PROBLEMS]]
    left = len(mistakes) - len(told)
    return [*told, f"  and {left:,} more in the same file"] if left else told


def tell_alike(mistakes: Sequence[tuple[str, str]], rows: int) -> list[str]:
    """Write sentences for mistakes; one that many rows share is written once, with their number.

    Args:
        mistakes: For each, the place of the row and what is wrong.
        rows: The number of all rows.

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
    """Count places, and list the numbers of the first few."""
    first, *_ = places
    file = first.rstrip(string.digits)
    numbers = [place.removeprefix(file) for place in places if place.startswith(file)]
    shown = ", ".join(numbers[:SHOWN_PLACES]) + (", …" if numbers[SHOWN_PLACES:] else "")
    return f"{len(places):,} of {rows:,} rows ({shown})"


def describe_rule(mistake: Any) -> str:
    """Say what pydantic expected."""
    for bound, words in BOUNDS.items():
        if bound in mistake.get("ctx", {}):
            limit = mistake["ctx"][bound]
            return f"{words} {int(limit) if limit == int(limit) else limit}"
    rule = re.sub(r"^\w+ should (?:be |have )?", "", mistake["msg"])
    return RULES.get(mistake["type"], rule.removesuffix(" after validation, not 0"))


def list_problems(where: str, table: type[BaseModel], error: ValidationError) -> list[str]:
    """Describe the mistakes in one of the project's own tables, at most twenty.

    Args:
        where: The file, with the line if each line is a table.
        table: The expected table.
        error: pydantic's error.

    """
    keys = ", ".join(table.model_fields)

    def tell(mistake: Any) -> str:
        key = ".".join(map(str, mistake["loc"]))
        match mistake["type"]:
            case "extra_forbidden":
                return f"{where}: unknown key {quote(key)}, expected some of {keys}"
            case "missing":
                return f"{where}: {key!r} is missing, expected a value"
            case "value_error":
                return f"{where}: {mistake['ctx']['error']}"
            case _:
                shown, rule = quote(mistake["input"]), describe_rule(mistake)
                return f"{where}: {quote(key)} is {shown}, expected {rule}"

    return tell_first(error.errors(include_url=False), tell)
