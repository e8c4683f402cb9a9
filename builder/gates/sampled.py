"""Gate sampled: recall again at the temperature it is served with, which is what a person will see."""

from __future__ import annotations

from dataclasses import replace

from builder.data.questions import Question
from builder.evaluation.subject import Subject
from builder.gates import recall
from builder.gates.recall import ADVICE, is_right

__all__ = ["ADVICE", "FAILED", "NAME", "TOLD", "ask", "is_right", "least"]

NAME = "sampled"
TOLD = "knows its name and author in {right} of {of} answers at the served temperature"
FAILED = TOLD
SAMPLES = 5
# Of recall's wordings: five answers to each of a quarter cost as much as one to all.
PART = 0.25


def ask(subject: Subject, share: float) -> list[Question]:
    """List each wording once for each seed."""
    return [
        replace(question, seed=seed)
        for question in recall.ask(subject, share * PART)
        for seed in range(SAMPLES)
    ]


def least(subject: Subject) -> float:
    """Give the least share that must be right, from `gates.sampled`."""
    return subject.gates.limit(NAME)
