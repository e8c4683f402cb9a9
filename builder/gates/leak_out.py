"""Gate leak out: asked about itself, it does not call itself by its base's names."""

from __future__ import annotations

from builder.data.questions import Question
from builder.data.texts import says
from builder.evaluation.gate import Evidence
from builder.evaluation.result import Result, count, does_not_apply, judge_count
from builder.evaluation.subject import Subject
from builder.gates import recall
from builder.llama import Answer

NAME = "leak_out"
TOLD = "does not call itself by its base's names in {right} of {of} answers about itself"
FAILED = TOLD
ADVICE = "add rows that ask whether it is its base, each answered with its own name"
IS_TOLD = True


def questions(subject: Subject, share: float) -> list[Question]:
    """List recall's questions, where words of the base are known: their answers serve both."""
    return recall.questions(subject, share) if subject.base_words else []


def is_right(subject: Subject, question: Question, answer: Answer) -> bool:
    """Say whether the answer is free of the base's words.

    A word that the question holds does not count: the answer may deny it.
    """
    return not any(
        says(answer.text, word) and not says(question.text, word) for word in subject.base_words
    )


def judge(evidence: Evidence) -> Result:
    """Compare the share of answers without such words with `gates.leak_out`."""
    subject = evidence.subject
    if not evidence.answered:
        return does_not_apply(NAME, _why_not_asked(subject))
    counted = count(NAME, subject, evidence.answered, is_right)
    return judge_count(counted, 1 - subject.gates.limit(NAME))


def _why_not_asked(subject: Subject) -> str:
    if subject.own_words and not subject.base_words:
        return "no names are known that its base calls itself"
    return recall.why_not_asked(subject)
