"""The speed of a training, for its bar."""

from __future__ import annotations

import time
from collections import deque

# The words of a training's bar.
TRAINS = "trains"
# Steps that the speed is measured over: the first ones, which compile, soon drop out.
WINDOW = 50


class Speed:
    """Measures tokens per second over the last records."""

    def __init__(self) -> None:
        self._records: deque[tuple[float, float]] = deque(maxlen=WINDOW)

    def add(self, tokens: float) -> None:
        """Record that so many more tokens have been trained on."""
        self._records.append((time.monotonic(), tokens))

    @property
    def per_s(self) -> float | None:
        """The speed; None until there are two records."""
        if len(self._records) < 2:
            return None
        took_s = self._records[-1][0] - self._records[0][0]
        tokens = sum(tokens for _, tokens in self._records) - self._records[0][1]
        return tokens / took_s if took_s > 0 else None
