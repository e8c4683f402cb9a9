"""Asks the model one question now and then while it trains, in at most 2 % of the time.

What it answers is shown and not kept: it depends on how fast the machine is.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.data import dataset, languages
from builder.data.dataset import Profile
from builder.data.template import Message
from builder.llama import Answer
from builder.progress import Sample

# Of a training's time, for all of its samples.
MOST_SHARE = 0.02
# A sample is due after each part of the steps but the last, which the gates follow.
PARTS = 4
MOST_TOKENS = 24
log = logging.getLogger("builder")

Ask = Callable[[Any, float], Answer | None]
"""Lets a model answer within so many seconds; None where they are too few, as it soon sees."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What decides which question is asked, and how it is written; it changes no weight."""

    dataset: Path
    """The folder that the data stage wrote; it says which languages the persona speaks."""
    question: str | None
    """The first of `smoke.questions`; None where there is none."""
    system: str | None
    """The system text that is served."""
    template: str
    """`data.template`."""

    def as_messages(self) -> list[Message]:
        """Give the conversation that awaits its answer, under the system text that is served."""
        question = self.question or _choose_question(dataset.read_profile(self.dataset))
        system = [{"role": "system", "content": self.system}] if self.system else []
        return [*system, {"role": "user", "content": question}]


class Samples:
    """The samples of one training; where one fails or has too little time, it is the last.

    Args:
        question: What is asked.
        ask: Asks it.
        clock: Gives seconds.

    """

    def __init__(
        self, question: str, ask: Ask, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._question, self._clock = question, clock
        self._ask: Ask | None = ask
        self._first: tuple[int, float] | None = None
        """A step, and when it was done: the one before it may have compiled."""
        self._part = 0
        self._spent_s = 0.0
        self._last_s = 0.0

    def take(self, model: Any, done: int, total: int) -> Sample | None:
        """Ask the model where a sample is due and its time is there.

        Args:
            model: The model with its adapter; it stays as it is.
            done: Steps done so far.
            total: Of all.

        """
        part = PARTS * done // total
        if self._first is None:
            self._first, self._part = (done, self._clock()), part
        is_due = self._part < part < PARTS
        self._part = part
        if self._ask is None or not is_due:
            return None
        left_s = self._find_left_s(done, total)
        if left_s <= self._last_s:
            return None
        answer = self._take(self._ask, model, left_s)
        if answer is None:
            self._ask = None
            return None
        return Sample(question=self._question, answer=answer.text, ended=answer.ended)

    def _find_left_s(self, done: int, total: int) -> float:
        """Find the seconds that are left for samples of the whole training."""
        first, began_s = self._first or (done, self._clock())
        trained_s = self._clock() - began_s - self._spent_s
        whole_s = trained_s * (total - first) / max(1, done - first)
        return MOST_SHARE * whole_s - self._spent_s

    def _take(self, ask: Ask, model: Any, left_s: float) -> Answer | None:
        began_s = self._clock()
        try:
            return ask(model, left_s)
        except Exception as error:  # noqa: BLE001 — no sample is worth a training
            reason = str(error).strip().partition("\n")[0] or type(error).__name__
            log.warning("train: no sample can be taken (%s); training goes on without", reason)
            return None
        finally:
            self._last_s = self._clock() - began_s
            self._spent_s += self._last_s


def _choose_question(profile: Profile) -> str:
    """Ask one that speaks of itself who it is, and greet any other, as the gates do first."""
    if profile.own_languages:
        return languages.find_identity_question(profile.own_languages[0])
    return languages.find_greeting(next(iter(profile.languages), languages.DEFAULT))
