"""How long each piece of a stage's work took, measured from its progress records."""

from __future__ import annotations

import logging
import math
import time
from types import TracebackType
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

log = logging.getLogger("builder")
MOST_SPANS = 40
OTHER = "other work"


class Span(BaseModel):
    """A piece of work, in words for a user, and how long it took."""

    model_config = ConfigDict(frozen=True)

    what: str
    took_s: float = Field(ge=0, allow_inf_nan=False)


class Spans(logging.Handler):
    """Measures the pieces of work of one stage; use it as a context manager.

    A piece begins with its first progress record, and ends when another begins. If it comes again,
    its time is added to the same piece.

    Args:
        first: The piece of work before the first record.

    """

    def __init__(self, first: str) -> None:
        super().__init__()
        self._what, self._began_s = first, time.monotonic()
        self._took_s: dict[str, float] = {}
        self._has_records = False

    def __enter__(self) -> Self:
        log.addHandler(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        log.removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Begin another piece of work if the record is of another one."""
        progress = getattr(record, "progress", None)
        if progress is not None:
            self._has_records = True
            if progress.what != self._what:
                self.begin(progress.what)

    def begin(self, what: str) -> None:
        """End a piece of work, and begin another."""
        now_s = time.monotonic()
        is_known = self._what in self._took_s or len(self._took_s) < MOST_SPANS
        key = self._what if is_known else OTHER
        self._took_s[key] = self._took_s.get(key, 0.0) + now_s - self._began_s
        self._what, self._began_s = what, now_s

    def take(self) -> tuple[Span, ...]:
        """End the last piece of work, and return all; empty if the stage reported no progress."""
        self.begin("")
        if not self._has_records:
            return ()
        return tuple(
            Span(what=what, took_s=round(took_s, 2))
            for what, took_s in self._took_s.items()
            if what and round(took_s, 2) > 0
        )


def read_spans(values: Any) -> tuple[Span, ...]:
    """Read the spans of a stamp; empty if they are damaged."""
    try:
        spans = tuple(Span.model_validate(value) for value in values or ())
    except (TypeError, ValidationError):
        return ()
    return spans if math.isfinite(sum(span.took_s for span in spans)) else ()
