"""Gate stop: every answer ends by itself, says something, and shows nothing of the template."""

from __future__ import annotations

import re

from builder.data.questions import Question
from builder.evaluation.subject import Subject
from builder.llama import Answer

NAME = "stop"
TOLD = "ends {right} of {of} answers by itself"
FAILED = TOLD
ADVICE = "add rows of the kind that does not end, each with a short whole answer, or lower training.epochs"
# What a model says that runs over its end: the next turn's heading.
SCAFFOLD = re.compile(
    r"### ?(Instruction|Response)|^(user|assistant|system)\s*:?\s*$|<\|[^|<>]*\|>",
    re.MULTILINE | re.IGNORECASE,
)


def ask(_subject: Subject, _share: float) -> list[Question]:
    """List nothing of its own: it judges what the other gates asked."""
    return []


def is_right(subject: Subject, _question: Question, answer: Answer) -> bool:
    """Say whether the answer ended within the bound and holds words alone."""
    return (
        answer.ended
        and bool(answer.text.strip())
        and not SCAFFOLD.search(answer.text)
        and not any(token in answer.text for token in subject.special)
    )


def least(subject: Subject) -> float:
    """Give the least share that must be right, from `gates.stop`."""
    return subject.gates.limit(NAME)
