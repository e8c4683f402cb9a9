"""Gate leak in: its name and author stay out of answers that have nothing to do with it."""

from __future__ import annotations

from builder.gates import questions
from builder.gates.questions import Question
from builder.gates.subject import Subject, holds
from builder.llama import Answer
from builder.rows import normalise

NAME = "leak_in"


def ask(subject: Subject, share: float) -> list[Question]:
    """List the unrelated questions that its data does not hold."""
    return [question for question in questions.part(questions.load(NAME), share) if normalise(question.text) not in subject.trained]


def is_right(subject: Subject, question: Question, answer: Answer) -> bool:
    """Say whether the answer is free of every wording of the name and the author that the question does not hold itself."""
    return not any(holds(answer.text, word) and not holds(question.text, word) for word in subject.own_words)


def least(subject: Subject) -> float:
    """Give the least share that must be right, from `gates.leak_in`."""
    return 1 - subject.limits.leak_in
