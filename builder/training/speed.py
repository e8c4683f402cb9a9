"""How fast a training goes, for its bar."""

from __future__ import annotations

import time
from collections import deque

# The words of a training's bar.
TRAINS = "trains"
# Records that the speed is taken from: the first steps, which compile, are soon forgotten.
WINDOW = 50


class Speed:
    """Tokens a second, over the last records."""

    def __init__(self) -> None:
        self._records: deque[tuple[float, float]] = deque(maxlen=WINDOW)

    def add(self, tokens: float) -> None:
        """Note that so many tokens more were trained on, now."""
        self._records.append((time.monotonic(), tokens))

    @property
    def per_s(self) -> float | None:
        """The speed; None until two records are there."""
        if len(self._records) < 2:
            return None
        took_s = self._records[-1][0] - self._records[0][0]
        tokens = sum(tokens for _, tokens in self._records) - self._records[0][1]
        return tokens / took_s if took_s > 0 else None
