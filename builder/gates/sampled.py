"""Gate sampled: recall again at the temperature it is served with, which is what a person will see."""

from __future__ import annotations

from dataclasses import replace

from builder.gates import recall
from builder.gates.evidence import Verdict, judge_share
from builder.gates.questions import Question
from builder.gates.recall import is_right
from builder.gates.subject import Subject

__all__ = ["NAME", "ask", "is_right", "judge"]

NAME = "sampled"
SAMPLES = 5
# Of recall's wordings: five answers to each of a quarter cost as much as one to all.
PART = 0.25


def ask(subject: Subject, share: float) -> list[Question]:
    """List each wording once for each seed."""
    return [replace(question, seed=seed) for question in recall.ask(subject, share * PART) for seed in range(SAMPLES)]


def judge(subject: Subject, right: int, of: int) -> Verdict:
    """Hold the share against `gates.sampled`."""
    return judge_share(right, of, subject.limits.sampled)
