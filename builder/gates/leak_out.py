"""Gate leak out: asked about itself, it does not call itself by its base's names."""

from __future__ import annotations

from builder.data.questions import Question
from builder.data.texts import says
from builder.evaluation.subject import Subject
from builder.gates import recall
from builder.llama import Answer

NAME = "leak_out"
TOLD = "does not call itself by its base's names in {right} of {of} answers about itself"
FAILED = TOLD
ADVICE = "add rows that ask whether it is its base, each answered with its own name"


def ask(subject: Subject, share: float) -> list[Question]:
    """List recall's questions, where the base has words to be forgotten: their answers serve both."""
    return recall.ask(subject, share) if subject.base_words else []


def is_right(subject: Subject, question: Question, answer: Answer) -> bool:
    """Say whether the answer is free of the base's words; one that the question brought up may be denied."""
    return not any(
        says(answer.text, word) and not says(question.text, word) for word in subject.base_words
    )


def least(subject: Subject) -> float:
    """Give the least share that must be right, from `gates.leak_out`."""
    return 1 - subject.gates.limit(NAME)
