"""What `build --json` prints: one line an event, each a dataclass; docs/files.md lists the fields.

A field is only ever added. What a reader does not know it may skip.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import IO

SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened to a persona's build."""

    name: str
    """The persona's."""


@dataclass(frozen=True, kw_only=True)
class BuildStarted(Event):
    """A build begins; it is the first event of a persona that has stale stages."""

    schema: int = SCHEMA
    stages: tuple[str, ...]
    """Those that are stale, in order."""
    forecast_s: float | None
    """What earlier builds on this machine let expect; None where that is not known."""


@dataclass(frozen=True, kw_only=True)
class StageStarted(Event):
    """A stage runs."""

    stage: str
    words: str
    """What it does, for people."""
    reasons: tuple[str, ...]
    number: int
    """Of this stage among the stale ones, from 1."""
    count: int
    """Of the stale ones."""


@dataclass(frozen=True, kw_only=True)
class StageProgress(Event):
    """A stage is so far, at most five times a second."""

    stage: str
    what: str
    """The piece of work, for people."""
    done: int
    total: int
    """0 where nothing can be counted."""
    unit: str
    losses: tuple[float, ...] = ()
    """In training, of each step since the last such event."""
    epoch: int | None = None
    epochs: int | None = None
    tokens_per_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class Sample(Event):
    """What the model answers while it trains."""

    stage: str
    step: int
    """After which it was asked."""
    steps: int
    question: str
    answer: str
    ended: bool
    """Whether the model ended the answer; else it was cut."""


@dataclass(frozen=True, kw_only=True)
class StageDone(Event):
    """A stage ran."""

    stage: str
    summary: str
    took_s: float


@dataclass(frozen=True, kw_only=True)
class StageFresh(Event):
    """A stage had nothing to do."""

    stage: str
    summary: str
    """Of when it last ran."""


@dataclass(frozen=True, kw_only=True)
class StageSkipped(Event):
    """A stage cannot run on this machine."""

    stage: str
    why: str


@dataclass(frozen=True, kw_only=True)
class Message(Event):
    """A sentence for a person, such as a warning."""

    stage: str
    level: str
    """`info`, `warning` or `error`, as Python's logging has them."""
    text: str


@dataclass(frozen=True, kw_only=True)
class GateJudged(Event):
    """What a gate found of the finished file."""

    gate: str
    verdict: str
    mode: str
    right: int
    of: int
    baseline_right: int | None
    limit: float | None
    told: str
    """The finding in words."""


@dataclass(frozen=True, kw_only=True)
class BuildFailed(Event):
    """The build ended with an error that a person can mend; it is the last event of a persona."""

    error: str
    """The class: `GateError` is a refusal; the others are in builder/errors.py."""
    problems: tuple[str, ...]
    hint: str | None


@dataclass(frozen=True, kw_only=True)
class BuildFinished(Event):
    """The build came to its end; it is the last event of a persona."""

    has_run: bool
    """Whether anything was stale."""
    model: str | None
    """Its name in Ollama; None where there is no Ollama."""
    file: str
    """The path of the GGUF."""


EVENTS: tuple[type[Event], ...] = (
    BuildStarted,
    StageStarted,
    StageProgress,
    Sample,
    StageDone,
    StageFresh,
    StageSkipped,
    Message,
    GateJudged,
    BuildFailed,
    BuildFinished,
)


def name_event(kind: type[Event]) -> str:
    """Name a kind of event as its line does: `stage_done`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.__name__).lower()


class Stream:
    """Writes events; where the reader has gone, no more.

    Args:
        file: Where they are written, a line each.

    """

    def __init__(self, file: IO[str]) -> None:
        self.file: IO[str] | None = file

    def write(self, event: Event) -> None:
        """Write one event."""
        if self.file is None:
            return
        values = {"event": name_event(type(event)), **asdict(event)}
        try:
            # Plain ASCII: no locale and no lone surrogate keeps a line from being written.
            print(json.dumps(values), file=self.file, flush=True)
        except OSError:
            self.file = None
