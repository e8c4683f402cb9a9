"""The interface of a gate, and the evidence that it judges."""

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
    """Everything that a gate can judge."""

    subject: Subject
    base: Base
    quantisation: Quantisation
    """The quantisation that the file should have."""
    model: Model
    """The finished file, loaded."""
    reference: Reference
    """The reference texts, with the log-probabilities of the in-memory model and its base."""
    distances: Sequence[Distance]
    """The file's differences at these texts, in the same order."""
    rows: Sequence[Example]
    """The rows that were trained on."""
    answered: Sequence[Answered]
    """The answers to this gate's own questions."""
    all_answered: Sequence[Answered]
    """The answers to the questions of all gates, in the order in which they were asked."""


class Gate(Protocol):
    """The names that the module of a gate defines; mypy checks them in `gates.table`."""

    NAME: str
    TOLD: str
    """The finding in words, with `right` and `of`."""
    FAILED: str
    """The finding in words if the gate fails."""
    ADVICE: str
    """What to do if it fails."""
    IS_TOLD: bool
    """Whether the end of a build shows it even if it passes."""

    def questions(self, subject: Subject, share: float, /) -> list[Question]:
        """List its questions; a larger share includes those of a smaller one."""
        ...

    def judge(self, evidence: Evidence, /) -> Result:
        """Judge the file, or say why the gate does not apply."""
        ...
