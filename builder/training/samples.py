"""Asks the model a question now and then while it trains, in at most 2 % of the time.

The answers are shown and not stored: they depend on the speed of the machine.
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

# The share of the training time for all samples.
MOST_SHARE = 0.02
# A sample is due after each part of the steps, except the last, as the gates follow.
PARTS = 4
MOST_TOKENS = 24
log = logging.getLogger("builder")

Ask = Callable[[Any, float], Answer | None]
"""Answers with a model within so many seconds; None if they do not suffice."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What decides the question and its prompt; it has no effect on the weights."""

    dataset: Path
    """The output of the data stage, which says in which languages the persona speaks."""
    question: str | None
    """The first of `smoke.questions`, or None."""
    system: str | None
    """The served system text."""
    template: str
    """The value of `data.template`."""

    def as_messages(self) -> list[Message]:
        """Give the conversation up to the answer, with the served system text."""
        question = self.question or _choose_question(dataset.read_profile(self.dataset))
        system = [{"role": "system", "content": self.system}] if self.system else []
        return [*system, {"role": "user", "content": question}]


class Samples:
    """Takes the samples of one training; the first that fails or has too little time is the last.

    Args:
        question: The question.
        ask: Answers it with the model.
        clock: Returns seconds.

    """

    def __init__(
        self, question: str, ask: Ask, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._question, self._clock = question, clock
        self._ask: Ask | None = ask
        self._first: tuple[int, float] | None = None
        """The first measured step, and when it was done; compiling may have come before it."""
        self._part = 0
        self._spent_s = 0.0
        self._last_s = 0.0

    def take(self, model: Any, done: int, total: int) -> Sample | None:
        """Ask the model, if a sample is due and there is time for it.

        Args:
            model: The model with its adapter; it is not changed.
            done: Steps done so far.
            total: Steps in all.

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
        """Compute the seconds that are left for samples."""
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
    """Ask who it is if the data speaks of the persona itself; greet it otherwise."""
    if profile.own_languages:
        return languages.find_identity_question(profile.own_languages[0])
    return languages.find_greeting(next(iter(profile.languages), languages.DEFAULT))
