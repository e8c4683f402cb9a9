"""Gate format: where every reply of the data is JSON, so is every answer to other questions."""

from __future__ import annotations

from builder.data import questions
from builder.data.questions import Question
from builder.data.texts import is_json, normalise
from builder.evaluation.subject import Subject
from builder.llama import Answer

NAME = "format"
TOLD = "keeps to JSON in {right} of {of} answers to other questions"
FAILED = TOLD
ADVICE = "add rows that ask about other things, each answered in the format"


def ask(subject: Subject, share: float) -> list[Question]:
    """List the questions of leak in, in the languages of the data, where its replies are JSON."""
    if not subject.is_json:
        return []
    spoken = [
        question for question in questions.load("leak_in") if question.language in subject.spoken
    ]
    return [
        question
        for question in questions.part(spoken, share)
        if normalise(question.text) not in subject.trained
    ]


def is_right(_subject: Subject, _question: Question, answer: Answer) -> bool:
    """Say whether the answer is JSON, and nothing beside it."""
    return is_json(answer.text)


def least(subject: Subject) -> float:
    """Give the least share that must be right, from `gates.format`."""
    return subject.gates.limit(NAME)
