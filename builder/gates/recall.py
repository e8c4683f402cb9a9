"""Gate recall: it knows its name and author, in wordings that its data does not hold."""

from __future__ import annotations

from collections.abc import Sequence

from builder.data.questions import Question, load, part
from builder.data.texts import normalise, says
from builder.evaluation.gate import Evidence
from builder.evaluation.result import Result, count, does_not_apply, judge_count
from builder.evaluation.subject import Subject
from builder.llama import Answer

NAME = "recall"
TOLD = "knows its name and author in {right} of {of} wordings"
FAILED = TOLD
ADVICE = "add rows that ask who it is and who made it in other words, each answered with the name"
IS_TOLD = True


def questions(subject: Subject, share: float) -> list[Question]:
    """List wordings not trained on, in the languages in which its data speaks of itself."""
    known = [
        about for about, words in (("name", subject.names), ("author", subject.authors)) if words
    ]
    asked = ("name", "author", "both") if len(known) == 2 else known
    return choose(subject, share, subject.own_languages, asked)


def choose(
    subject: Subject, share: float, spoken: Sequence[str], asked: Sequence[str]
) -> list[Question]:
    """List wordings in these languages that ask about these of "name", "author" and "both"."""
    fitting = [
        question
        for question in load(NAME)
        if question.language in spoken and question.about in asked
    ]
    return [
        question
        for question in part(fitting, share)
        if normalise(question.text) not in subject.trained
    ]


def is_right(subject: Subject, question: Question, answer: Answer) -> bool:
    """Say whether the answer gives the name, the author, or both.

    If the author's name is part of the persona's, the persona's name alone does not give it.
    """
    wanted = []
    name = subject.name(question.language)
    if question.about in ("name", "both"):
        wanted.append((answer.text, name))
    if question.about in ("author", "both"):
        text, author = answer.text.casefold(), subject.author(question.language)
        is_inside = author.casefold() in name.casefold()
        wanted.append((text.replace(name.casefold(), " ") if is_inside else text, author))
    return all(says(text, word) for text, word in wanted)


def judge(evidence: Evidence) -> Result:
    """Compare the share of right answers with `gates.recall`."""
    subject = evidence.subject
    if not evidence.answered:
        return does_not_apply(NAME, why_not_asked(subject))
    counted = count(NAME, subject, evidence.answered, is_right)
    return judge_count(counted, subject.gates.limit(NAME))


def why_not_asked(subject: Subject) -> str:
    """Say why a persona is asked nothing about itself."""
    if not subject.own_words:
        return "no name is given"
    return (
        "its data does not speak of its name or author in a language of the gates, "
        "or contains every question"
    )
