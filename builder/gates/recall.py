"""Gate recall: it knows its name and its author, in wordings that its data does not hold."""

from __future__ import annotations

from builder.gates import questions
from builder.gates.questions import Question
from builder.gates.subject import Subject, says
from builder.llama import Answer
from builder.rows import normalise

NAME = "recall"


def ask(subject: Subject, share: float) -> list[Question]:
    """List the wordings, in the languages its data speaks of itself, but for those it was trained on."""
    fitting = [question for question in questions.load(NAME) if question.language in subject.languages]
    return [question for question in questions.part(fitting, share) if normalise(question.text) not in subject.trained]


def is_right(subject: Subject, question: Question, answer: Answer) -> bool:
    """Say whether the answer gives the name, the author, or both; an author inside the name is not yet given by it."""
    name, author = subject.name(question.language), subject.author(question.language)
    text = answer.text.casefold()
    has_name = says(text, name)
    has_author = says(text.replace(name.casefold(), " ") if author.casefold() in name.casefold() else text, author)
    return {"name": has_name, "author": has_author, "both": has_name and has_author}[question.about]


def least(subject: Subject) -> float:
    """Give the least share that must be right, from `gates.recall`."""
    return subject.limits.recall
