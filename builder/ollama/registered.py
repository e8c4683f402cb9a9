"""registered.json, the receipt of a registration: the model, the daemon, and what was compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from builder import files
from builder.ollama.verification import Compared
from builder.tables import Table

SCHEMA = 5
# Schema 4 had no `let_through`, and its `compared` is not read.
OLDER_SCHEMA = 4


class Receipt(Table):
    """The receipt of a registration."""

    schema_number: Literal[5] = Field(default=5, alias="schema")
    model: str
    digest: str
    url: str
    ollama: str
    blob: str
    num_ctx: int
    let_through: tuple[str, ...]
    """The gates that failed and were waived with --anyway."""
    compared: tuple[Compared, ...]

    @model_validator(mode="before")
    @classmethod
    def _read_older(cls, value: Any) -> Any:
        if isinstance(value, dict) and value.get("schema") == OLDER_SCHEMA:
            return {**value, "schema": SCHEMA, "let_through": (), "compared": ()}
        return value

    def write(self, path: Path) -> None:
        """Write it as JSON."""
        text = self.model_dump_json(by_alias=True, indent=1, exclude_none=True)
        path.write_text(text + "\n", "utf-8")


def read(path: Path) -> Receipt | None:
    """Read a receipt; None if there is none, or it has another form."""
    try:
        return Receipt.model_validate(files.read_json(path))
    except ValidationError:
        return None


def explain_unread(path: Path) -> str:
    """Say what is wrong with a receipt that cannot be read."""
    value = files.read_json(path)
    schema = value.get("schema") if isinstance(value, dict) else None
    return f"{path}: says schema {schema}, expected a whole receipt of schema {SCHEMA}"
