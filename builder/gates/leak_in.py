"""Gate leak in: its name and author stay out of answers that have nothing to do with it."""

from __future__ import annotations

from builder.data import questions
from builder.data.questions import Question
from builder.data.texts import holds, normalise
from builder.evaluation.subject import Subject
from builder.llama import Answer

NAME = "leak_in"
TOLD = "keeps its name out of {right} of {of} other answers"
FAILED = TOLD
ADVICE = "add rows that have nothing to do with its name, at least as many as speak of it"


def ask(subject: Subject, share: float) -> list[Question]:
    """List the unrelated questions that its data does not hold, where it has a name to leak."""
    if not subject.own_words:
        return []
    spoken = [
        question for question in questions.load(NAME) if question.language in subject.languages
    ]
    return [
        question
        for question in questions.part(spoken, share)
        if normalise(question.text) not in subject.trained
    ]


def is_right(subject: Subject, question: Question, answer: Answer) -> bool:
    """Say whether the answer is free of every wording of the name and the author that the question does not hold itself."""
    return not any(
        holds(answer.text, word) and not holds(question.text, word) for word in subject.own_words
    )


def least(subject: Subject) -> float:
    """Give the least share that must be right, from `gates.leak_in`."""
    return 1 - subject.gates.limit(NAME)
