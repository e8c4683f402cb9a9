"""What a gate is, and what it judges from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from builder.bases.base import Base
from builder.data.dataset import Example
from builder.data.questions import Question
from builder.evaluation.distance import Distance
from builder.evaluation.reference import Reference
from builder.evaluation.result import Answered, Result
from builder.evaluation.subject import Subject
from builder.gguf.quantisation import Quantisation
from builder.llama import Model


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Everything that a gate may judge from."""

    subject: Subject
    base: Base
    quantisation: Quantisation
    """What the file was to be quantised to."""
    model: Model
    """The finished file, loaded."""
    reference: Reference
    """The reference texts, and what the trained model and its base gave at each of their tokens."""
    distances: Sequence[Distance]
    """The file's distance at each of these texts, in the same order."""
    rows: Sequence[Example]
    """What was trained on."""
    answered: Sequence[Answered]
    """This gate's own questions; empty where it asked none."""
    all_answered: Sequence[Answered]
    """The questions of all gates, in the order in which they were asked."""


class Gate(Protocol):
    """The names of a gate; its module has them, and mypy compares each in `gates.table`."""

    NAME: str
    TOLD: str
    """What it finds, in words, by `right` and `of`."""
    FAILED: str
    """The same where it fails."""
    ADVICE: str
    """What to do where it fails."""
    IS_TOLD: bool
    """Whether a person reads of it at the end of a build also where it passes."""

    def questions(self, subject: Subject, share: float, /) -> list[Question]:
        """List what it asks, a smaller share contained in a larger; empty where it asks nothing."""
        ...

    def judge(self, evidence: Evidence, /) -> Result:
        """Judge the file; a gate that does not apply says why, where a person may wonder."""
        ...
