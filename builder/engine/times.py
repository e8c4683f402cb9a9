"""What stages took on this machine, in the user's cache: seconds beside units of work.

It only saves a person's time: a damaged record is not read, and where it cannot be written the
next build is not foretold.
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
# A newer observation counts so much more than the one before it.
FRESHNESS = 2.0

Number = Annotated[float, Field(ge=0, le=1e15, allow_inf_nan=False)]
Observation = tuple[Number, Number]
"""Units of work, and seconds."""


class Times(BaseModel):
    """Observations by machine and base, and there by the stage or a piece of its work."""

    model_config = ConfigDict(populate_by_name=True)

    schema_number: Literal[1] = Field(default=1, alias="schema")
    times: dict[str, dict[str, list[Observation]]] = Field(default_factory=dict)

    def predict_s(self, key: str, series: str, units: float) -> float | None:
        """Predict the seconds of so many units; None where there is no observation."""
        observations = self.times.get(key, {}).get(series)
        return fit(observations, units) if observations else None

    def add(self, key: str, series: str, units: float, took_s: float) -> None:
        """Add an observation, in the place of the oldest where there are enough."""
        table = self.times.pop(key, {})
        observations = [*table.pop(series, []), (float(units), round(took_s, 2))]
        table[series] = observations[-MOST_OBSERVATIONS:]
        # The newest stand last, so that the oldest go.
        self.times[key] = dict(list(table.items())[-MOST_SERIES:])
        self.times = dict(list(self.times.items())[-MOST_KEYS:])


def fit(observations: Sequence[Observation], units: float) -> float:
    """Predict seconds by a line through observations: a fixed part, and a part for each unit.

    Newer observations count more. Neither part is negative. Of one size alone all is taken to grow
    with the units.

    Args:
        observations: Units and seconds, the newest last; at least one.
        units: Of the work that is foretold.

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
    # Sizes within a tenth of each other say nothing of what a unit more costs.
    if spread < total * (0.1 * mean_units) ** 2:
        return mean_s * units / mean_units
    slope = both / spread
    fixed_s = mean_s - slope * mean_units
    if slope <= 0:
        return mean_s
    return mean_s * units / mean_units if fixed_s < 0 else fixed_s + slope * units


def path() -> Path:
    """Say where the record lies."""
    return files.cache_folder() / NAME


def read() -> Times:
    """Read the record; an empty one where there is none, or it is damaged or another version's."""
    try:
        return Times.model_validate(files.read_json(path()))
    except ValidationError:
        return Times()


def add(key: str, observations: dict[str, tuple[float, float]]) -> None:
    """Add observations of one machine and base to the record: units and seconds by series."""
    record = read()
    for series, (units, took_s) in observations.items():
        record.add(key, series, units, took_s)
    with suppress(OSError):
        files.write_json(path(), record.model_dump(by_alias=True))
