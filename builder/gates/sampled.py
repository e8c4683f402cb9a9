"""Gate sampled: recall at the served temperature, which is what a user sees."""

from __future__ import annotations

from dataclasses import replace

from builder.data.questions import Question
from builder.evaluation.gate import Evidence
from builder.evaluation.result import Result, count, does_not_apply, judge_count
from builder.evaluation.statistics import LEAST_ANSWERS
from builder.evaluation.subject import Subject
from builder.gates import recall

NAME = "sampled"
TOLD = "knows its name and author in {right} of {of} answers at the served temperature"
FAILED = TOLD
ADVICE = recall.ADVICE
IS_TOLD = True


def questions(subject: Subject, share: float) -> list[Question]:
    """List recall's wordings once each, with a seed, and enough of them to judge.

    Several answers to one wording are similar, and show less than one answer to each of several.
    """
    seeds = {one: seed for seed, one in enumerate(recall.questions(subject, 1.0))}
    least = LEAST_ANSWERS / max(1, len(seeds))
    return [
        replace(question, seed=seeds[question])
        for question in recall.questions(subject, min(1.0, max(share, least)))
    ]


def judge(evidence: Evidence) -> Result:
    """Compare the share of right answers with `gates.sampled`."""
    subject = evidence.subject
    if not evidence.answered:
        return does_not_apply(NAME, recall.why_not_asked(subject))
    counted = count(NAME, subject, evidence.answered, recall.is_right)
    return judge_count(counted, subject.gates.limit(NAME))
