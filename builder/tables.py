"""What every table that is read from TOML or JSON has in common."""

from __future__ import annotations

import unicodedata
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

# Letters and a symbol of Unicode that are drawn as nothing: hangul's fillers, braille's blank.
FILLERS = "\u115f\u1160\u2800\u3164\uffa0"


def is_blank(text: str) -> bool:
    """Say whether nothing of a text is seen: blanks, controls, marks alone and fillers."""
    return not any(
        unicodedata.category(character)[0] in "LNPS" and character not in FILLERS
        for character in text
    )


def _is_not_blank(text: str) -> str:
    """Refuse a text of which nothing is seen."""
    if is_blank(text):
        msg = "is blank, expected text"
        raise ValueError(msg)
    return text


Text = Annotated[str, Field(min_length=1), AfterValidator(_is_not_blank)]


class Table(BaseModel):
    """A table that takes no unknown key and never changes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def list_problems(where: str, table: type[BaseModel], error: ValidationError) -> list[str]:
    """Say every mistake in one of the project's own tables.

    Args:
        where: The file, and the line where it has one table a line.
        table: What the file must hold.
        error: What pydantic found.

    """
    keys = ", ".join(table.model_fields)
    problems = []
    for mistake in error.errors():
        key = ".".join(map(str, mistake["loc"]))
        match mistake["type"]:
            case "extra_forbidden":
                problems.append(f"{where}: unknown key {key!r}, expected some of {keys}")
            case "missing":
                problems.append(f"{where}: {key!r} is missing, expected it")
            case "value_error":
                problems.append(f"{where}: {mistake['ctx']['error']}")
            case _:
                rule = mistake["msg"].removeprefix("Input should be ")
                problems.append(f"{where}: {key!r} is {mistake['input']!r:.60}, expected {rule}")
    return problems
