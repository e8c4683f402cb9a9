"""What every table of persona.toml has in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Table(BaseModel):
    """A table that takes no unknown key and never changes."""

    model_config = ConfigDict(extra="forbid", frozen=True)
