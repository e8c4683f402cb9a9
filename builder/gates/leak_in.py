"""Gate leak_in: answers that have nothing to do with its name or author do not hold them."""

from __future__ import annotations

from dataclasses import replace

from builder.data.questions import Question, load, part
from builder.data.texts import holds, normalise
from builder.evaluation.gate import Evidence
from builder.evaluation.result import Result, count, does_not_apply, judge_count
from builder.evaluation.subject import Subject
from builder.gates import recall
from builder.llama import Answer

NAME = "leak_in"
TOLD = "keeps its name out of {right} of {of} other answers"
FAILED = TOLD
ADVICE = "add rows that have nothing to do with its name, at least as many as speak of it"
IS_TOLD = True


def questions(subject: Subject, share: float) -> list[Question]:
    """List unrelated questions that were not trained on, if there is a name that can leak."""
    if not subject.own_words:
        return []
    spoken = [question for question in load(NAME) if question.language in subject.languages]
    return [
        question
        for question in part(spoken, share)
        if normalise(question.text) not in subject.trained
    ]


def is_right(subject: Subject, question: Question, answer: Answer) -> bool:
    """Say whether the answer holds no wording of the name or the author.

    A wording that is in the question does not count.
    """
    return not any(
        holds(answer.text, word) and not holds(question.text, word) for word in subject.own_words
    )


def judge(evidence: Evidence) -> Result:
    """Compare the share of answers without the name with `gates.leak_in`.

    If the base uses the name too, it is a common word, and the gate cannot judge.
    """
    subject = evidence.subject
    if not evidence.answered:
        return does_not_apply(NAME, recall.why_not_asked(subject))
    counted = count(NAME, subject, evidence.answered, is_right)
    least = 1 - subject.gates.limit(NAME)
    baseline = [item.baseline.text for item in evidence.answered if item.baseline]
    for word in subject.own_words:
        if any(holds(text, word) for text in baseline):
            note = f"the base says {word!r} too: it is a common word, and tells nothing"
            return replace(counted, limit=least, note=note)
    return judge_count(counted, least)
