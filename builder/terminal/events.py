"""The events of `build --json`: one line each; docs/files.md lists their fields.

Later versions may add fields, and never remove any. Readers should skip fields they do not know.
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
    """The name of the persona."""


@dataclass(frozen=True, kw_only=True)
class BuildStarted(Event):
    """A build begins: the first event of a persona that has stale stages."""

    schema: int = SCHEMA
    stages: tuple[str, ...]
    """The stale stages, in order."""
    forecast_s: float | None
    """The forecast from earlier builds on this machine; None if there is none."""


@dataclass(frozen=True, kw_only=True)
class StageStarted(Event):
    """A stage starts."""

    stage: str
    words: str
    """What it does, in words for a user."""
    reasons: tuple[str, ...]
    number: int
    """The number of this stage among the stale ones, from 1."""
    count: int
    """The number of stale stages."""


@dataclass(frozen=True, kw_only=True)
class StageProgress(Event):
    """The progress of a stage, at most five times a second."""

    stage: str
    what: str
    """The piece of work, in words for a user."""
    done: int
    total: int
    """0 if nothing can be counted."""
    unit: str
    losses: tuple[float, ...] = ()
    """In training, the losses of the steps since the last such event."""
    epoch: int | None = None
    epochs: int | None = None
    tokens_per_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class Sample(Event):
    """An answer of the model while it trains."""

    stage: str
    step: int
    """The step after which it was asked."""
    steps: int
    question: str
    answer: str
    ended: bool
    """Whether the model ended the answer; if not, it was cut off."""


@dataclass(frozen=True, kw_only=True)
class StageDone(Event):
    """A stage is done."""

    stage: str
    summary: str
    took_s: float


@dataclass(frozen=True, kw_only=True)
class StageFresh(Event):
    """A stage is fresh."""

    stage: str
    summary: str
    """The summary of its last run."""


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
    """The finding of a gate about the finished file."""

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
    """The build ended with an error that a user can fix: the last event of a persona."""

    error: str
    """The class of the error: `GateError` is a refusal; the others are in builder/errors.py."""
    problems: tuple[str, ...]
    hint: str | None


@dataclass(frozen=True, kw_only=True)
class BuildFinished(Event):
    """The build is finished: the last event of a persona."""

    has_run: bool
    """Whether anything was stale."""
    model: str | None
    """Its name in Ollama; None if there is no Ollama."""
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
    """Give the name of a kind of event in its line, such as `stage_done`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.__name__).lower()


class Stream:
    """Writes events, until the reader closes the pipe.

    Args:
        file: The file to write lines to.

    """

    def __init__(self, file: IO[str]) -> None:
        self.file: IO[str] | None = file

    def write(self, event: Event) -> None:
        """Write one event."""
        if self.file is None:
            return
        values = {"event": name_event(type(event)), **asdict(event)}
        try:
            # In ASCII, so that no locale and no lone surrogate prevents writing.
            print(json.dumps(values), file=self.file, flush=True)
        except OSError:
            self.file = None
