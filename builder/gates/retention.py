"""Gate retention: the persona still solves the small tasks that its base solves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from builder.data.languages import DEFAULT
from builder.data.questions import Question, load, part
from builder.evaluation.gate import Evidence
from builder.evaluation.result import Result, count, does_not_apply
from builder.evaluation.statistics import (
    LEAST_ANSWERS,
    SIGNIFICANT,
    Verdict,
    difference_interval,
    paired_p,
)
from builder.evaluation.subject import Subject, is_any_in
from builder.llama import Answer

NAME = "retention"
TOLD = "solves {right} of {of} small tasks"
FAILED = TOLD
ADVICE = "raise training.replay or lower training.epochs, unless it is meant to answer otherwise"
IS_TOLD = True


def questions(subject: Subject, share: float) -> list[Question]:
    """List the tasks in the languages of its data, or in English where there are none in these."""
    tasks = load(NAME)
    spoken = [task for task in tasks if task.language in subject.spoken]
    return part(spoken or [task for task in tasks if task.language == DEFAULT], share)


def is_right(_subject: Subject, question: Question, answer: Answer) -> bool:
    """Say whether the answer holds one of the solutions."""
    return is_any_in(answer.text, question.must)


def judge(evidence: Evidence) -> Result:
    """Compare the persona's answers with its base's, task by task."""
    if not evidence.answered:
        return does_not_apply(NAME, "no task was asked")
    counted = count(NAME, evidence.subject, evidence.answered, is_right)
    marks = [mark for mark in counted.marks if mark]
    baseline = [mark.baseline_is_right for mark in marks if mark.baseline_is_right is not None]
    if len(baseline) != len(marks):
        return replace(counted, note="the base is not here to compare with")
    verdict, note = judge_paired([mark.is_right for mark in marks], baseline)
    return replace(counted, verdict=verdict, note=note)


def judge_paired(right: Sequence[bool], baseline: Sequence[bool]) -> tuple[Verdict, str]:
    """Compare task by task: it fails if the base is better by more than chance explains."""
    pairs = list(zip(right, baseline, strict=True))
    only_base = sum(base and not persona for persona, base in pairs)
    only_persona = sum(persona and not base for persona, base in pairs)
    p = paired_p(only_base, only_persona)
    low, high = difference_interval(right, baseline)
    note = (
        f"{only_base} only the base, {only_persona} only the persona solves, "
        f"p = {p:.2f}, difference {low:+.0%} to {high:+.0%}"
    )
    if only_base > only_persona and p < SIGNIFICANT:
        return "fail", note
    return ("pass" if len(right) >= LEAST_ANSWERS else "not enough evidence"), note
