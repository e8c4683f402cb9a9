"""What every table that is read from TOML or JSON has in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, ValidationError


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
