"""How long stages took on this machine, in the user's cache: seconds for so many units of work.

It serves forecasts only: a damaged record is ignored, and one that cannot be written is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from builder import files

NAME = "times.json"
MOST_OBSERVATIONS, MOST_SERIES, MOST_KEYS = 6, 120, 30
# The weight of an observation, over that of the one before it.
FRESHNESS = 2.0

Number = Annotated[float, Field(ge=0, le=1e15, allow_inf_nan=False)]
Observation = tuple[Number, Number]
"""Units of work, and seconds."""


class Times(BaseModel):
    """Observations by machine and base, then by stage or piece of work (a series)."""

    model_config = ConfigDict(populate_by_name=True)

    schema_number: Literal[1] = Field(default=1, alias="schema")
    times: dict[str, dict[str, list[Observation]]] = Field(default_factory=dict)

    def predict_s(self, key: str, series: str, units: float) -> float | None:
        """Predict the seconds for so many units; None without an observation."""
        observations = self.times.get(key, {}).get(series)
        return fit(observations, units) if observations else None

    def add(self, key: str, series: str, units: float, took_s: float) -> None:
        """Add an observation; the oldest is dropped if there are many."""
        table = self.times.pop(key, {})
        observations = [*table.pop(series, []), (float(units), round(took_s, 2))]
        table[series] = observations[-MOST_OBSERVATIONS:]
        # The newest come last, so that the oldest are dropped.
        self.times[key] = dict(list(table.items())[-MOST_SERIES:])
        self.times = dict(list(self.times.items())[-MOST_KEYS:])


def fit(observations: Sequence[Observation], units: float) -> float:
    """Predict seconds by fitting a line: a fixed time, and a time for each unit.

    Newer observations weigh more. Neither time is negative. If all observations have about the same
    number of units, the whole time is taken to be proportional to the units.

    Args:
        observations: Units and seconds, the newest last; at least one.
        units: The units to predict the time for.

    """
    weights = [FRESHNESS**age for age in range(len(observations))]
    total = sum(weights)
    mean_units, mean_s = (
        sum(weight * pair[at] for weight, pair in zip(weights, observations, strict=True)) / total
        for at in (0, 1)
    )
    spread = both = 0.0
    for weight, (own_units, own_s) in zip(weights, observations, strict=True):
        spread += weight * (own_units - mean_units) ** 2
        both += weight * (own_units - mean_units) * (own_s - mean_s)
    if not mean_units:
        return mean_s
    # Sizes within a tenth of each other do not show what another unit costs.
    if spread < total * (0.1 * mean_units) ** 2:
        return mean_s * units / mean_units
    slope = both / spread
    fixed_s = mean_s - slope * mean_units
    if slope <= 0:
        return mean_s
    return mean_s * units / mean_units if fixed_s < 0 else fixed_s + slope * units


def path() -> Path:
    """Give the path of the record."""
    return files.cache_folder() / NAME


def read() -> Times:
    """Read the record; empty if there is none, or it is damaged or of another version."""
    try:
        return Times.model_validate(files.read_json(path()))
    except ValidationError:
        return Times()


def add(key: str, observations: dict[str, tuple[float, float]]) -> None:
    """Add observations for one machine and base to the record: units and seconds by series."""
    record = read()
    for series, (units, took_s) in observations.items():
        record.add(key, series, units, took_s)
    with suppress(OSError):
        files.write_json(path(), record.model_dump(by_alias=True))
