"""Gate leak_out: asked about itself, the model does not use its base's names."""

from __future__ import annotations

from dataclasses import replace

from builder.data.questions import Question
from builder.data.texts import find_names, says
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
UNKNOWN = "no names are known that its base calls itself: base.identity_words may name them"


def questions(subject: Subject, share: float) -> list[Question]:
    """List recall's questions, if the base's names can be known: the same answers serve both gates.

    A persona without a name is asked who it is, in the languages of its data.
    """
    if not subject.base_words and not subject.has_derived_base:
        return []
    return recall.questions(subject, share) or recall.choose(
        subject, share, subject.spoken, ("name",)
    )


def is_right(subject: Subject, question: Question, answer: Answer) -> bool:
    """Say whether the answer holds none of the base's names.

    A name that is in the question does not count: the answer may deny it.
    """
    return not any(
        says(answer.text, word) and not says(question.text, word) for word in subject.base_words
    )


def judge(evidence: Evidence) -> Result:
    """Compare the share of answers without these names with `gates.leak_out`.

    For a base of no known family, they are the names it calls itself in its own answers.
    """
    subject = evidence.subject
    if not subject.base_words and evidence.answered:
        subject = replace(subject, base_words=_read_words(evidence))
    if not evidence.answered:
        return does_not_apply(
            NAME, recall.why_not_asked(subject) if subject.base_words else UNKNOWN
        )
    counted = count(NAME, subject, evidence.answered, is_right)
    if not subject.base_words:
        return replace(does_not_apply(NAME, UNKNOWN), marks=counted.marks)
    return judge_count(counted, 1 - subject.gates.limit(NAME))


def _read_words(evidence: Evidence) -> tuple[str, ...]:
    """Find the names in the base's own answers, except for the persona's."""
    answers = [one.baseline.text for one in evidence.answered if one.baseline]
    own = [word.casefold() for word in evidence.subject.own_words]
    found = find_names(answers)
    return tuple(name for name in found if not any(name.casefold() in word for word in own))
