"""Gate recall: it knows its name and its author, in wordings that its data does not hold."""

from __future__ import annotations

from builder.data import questions
from builder.data.questions import Question
from builder.data.texts import normalise, says
from builder.evaluation.subject import Subject
from builder.llama import Answer

NAME = "recall"
TOLD = "knows its name and author in {right} of {of} wordings"
FAILED = TOLD
ADVICE = "add rows that ask who it is and who made it in other words, each answered with the name"


def ask(subject: Subject, share: float) -> list[Question]:
    """List the wordings, in the languages its data speaks of itself, but for those it was trained on."""
    known = [
        about for about, words in (("name", subject.names), ("author", subject.authors)) if words
    ]
    asked = {"name", "author", "both"} if len(known) == 2 else set(known)
    fitting = [
        question
        for question in questions.load(NAME)
        if question.language in subject.own_languages and question.about in asked
    ]
    return [
        question
        for question in questions.part(fitting, share)
        if normalise(question.text) not in subject.trained
    ]


def is_right(subject: Subject, question: Question, answer: Answer) -> bool:
    """Say whether the answer gives the name, the author, or both; an author inside the name is not yet given by it."""
    wanted = []
    name = subject.name(question.language)
    if question.about in ("name", "both"):
        wanted.append((answer.text, name))
    if question.about in ("author", "both"):
        text, author = answer.text.casefold(), subject.author(question.language)
        is_inside = author.casefold() in name.casefold()
        wanted.append((text.replace(name.casefold(), " ") if is_inside else text, author))
    return all(says(text, word) for text, word in wanted)


def least(subject: Subject) -> float:
    """Give the least share that must be right, from `gates.recall`."""
    return subject.gates.limit(NAME)
