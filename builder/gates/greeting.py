"""Gate greeting: hello, thanks and goodbye are answered as such, which is what a person types first."""

from __future__ import annotations

from builder.data import questions
from builder.data.questions import Question
from builder.data.texts import normalise
from builder.evaluation.subject import Subject, is_any_in
from builder.llama import Answer

NAME = "greeting"
TOLD = "answers {right} of {of} greetings, thanks and goodbyes as such"
FAILED = TOLD
ADVICE = "add rows that greet, thank and say goodbye, each with a short fitting answer"


def ask(subject: Subject, _share: float) -> list[Question]:
    """List greetings, thanks and goodbyes in the languages of the data that it does not hold; they are few, and all are asked."""
    spoken = [question for question in questions.load(NAME) if question.language in subject.spoken]
    return [question for question in spoken if normalise(question.text) not in subject.trained]


def is_right(_subject: Subject, question: Question, answer: Answer) -> bool:
    """Say whether the answer ended and holds one of the words that answer such a phrase."""
    return answer.ended and is_any_in(answer.text.replace("\u2019", "'"), question.must)


def least(subject: Subject) -> float:
    """Give the least share that must be right, from `gates.greeting`."""
    return subject.gates.limit(NAME)
