"""Turns the mistakes that pydantic finds in a manifest into sentences."""

from __future__ import annotations

import typing
from typing import Any

from builder.command import command
from builder.escapes import quote
from builder.manifest import toml
from builder.manifest.manifest import Manifest
from builder.tables import Settings, describe_rule
from builder.words import join, suggest

# Of a table with more keys, the command that lists them is named.
MOST_KEYS = 6


def find_line(document: toml.Document, mistake: Any) -> int:
    """Find the line of a mistake found by pydantic."""
    return document.find_line(_find_location(document.table, mistake))


def describe(document: toml.Document, mistake: Any) -> str:
    """Turn a mistake found by pydantic into a sentence that begins with its place."""
    location = _find_location(document.table, mistake)
    where = document.where(location)
    match mistake["type"]:
        case "extra_forbidden":
            table, key = _find_table(location[:-1]), str(location[-1])
            if why := table.refused_keys.get(key):
                return f"{where}: is set, expected it not to be: {why}"
            known = sorted(table.model_fields)
            return f"{where}: unknown key, expected one of {', '.join(known)}{suggest(key, known)}"
        case "missing":
            return f"{where}: is missing, expected {_describe(location)}"
        case "model_type" if location:
            keys = list(_find_table(location).model_fields)
            shown = join(keys, "or") if len(keys) <= MOST_KEYS else f"`{command('keys')}` of it"
            expected = f"a table: `{_write_header(location)}`, and below it {shown}"
            return f"{where}: is {quote(mistake['input'])}, expected {expected}"
        case "value_error":
            return f"{where}: {mistake['ctx']['error']}"
        case _:
            return f"{where}: is {quote(mistake['input'])}, expected {describe_rule(mistake)}"


def _write_header(location: toml.Location) -> str:
    """Write the header of a table, or of one of a list of tables."""
    keys = toml.write_key(tuple(part for part in location if isinstance(part, str)))
    return f"[[{keys}]]" if isinstance(location[-1], int) else f"[{keys}]"


def _find_location(table: Any, mistake: Any) -> toml.Location:
    """Find the location of a mistake, without the branches of unions that pydantic adds."""
    *parents, last = mistake["loc"] or [None]
    location: toml.Location = ()
    for part in [*parents, last]:
        if (isinstance(table, dict) and part in table) or (
            isinstance(table, list) and isinstance(part, int) and part < len(table)
        ):
            table = table[part]
        elif mistake["type"] != "missing" or part != last:
            continue
        location = (*location, part)
    return location


def _find_table(location: toml.Location) -> type[Settings]:
    """Find the class of the table at a location."""
    model: type[Settings] = Manifest
    for part in location:
        if isinstance(part, int):
            continue
        field = model.model_fields.get(part)
        if field is None:
            break
        # A table, an optional table, or a list of tables.
        kinds = [field.annotation, *typing.get_args(field.annotation)]
        tables = (kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Settings))
        model = next(tables, model)
    return model


def _describe(location: toml.Location) -> str:
    field = _find_table(location[:-1]).model_fields.get(str(location[-1]))
    if field is not None and field.description:
        return field.description[:1].lower() + field.description[1:].rstrip(".")
    return f"a table [{location[-1]}]"
