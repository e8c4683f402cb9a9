"""Gate retention: what the base could do, the persona can still do."""

from __future__ import annotations

from collections.abc import Sequence

from builder.data import questions
from builder.data.questions import Question
from builder.evaluation.evidence import (
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
ADVICE = "raise training.replay, or lower training.epochs"


def ask(_subject: Subject, share: float) -> list[Question]:
    """List the tasks; one that its data holds is one it may as well know."""
    return questions.part(questions.load(NAME), share)


def is_right(_subject: Subject, question: Question, answer: Answer) -> bool:
    """Say whether the answer holds one of the solutions."""
    return is_any_in(answer.text, question.must)


def judge_paired(right: Sequence[bool], control: Sequence[bool]) -> tuple[Verdict, str]:
    """Compare task by task: it fails where the base is better and chance does not explain it."""
    only_base = sum(base and not persona for base, persona in zip(control, right, strict=True))
    only_persona = sum(persona and not base for base, persona in zip(control, right, strict=True))
    p = paired_p(only_base, only_persona)
    low, high = difference_interval(right, control)
    note = f"{only_base} only the base, {only_persona} only the persona solves, p = {p:.2f}, difference {low:+.0%} to {high:+.0%}"
    if only_base > only_persona and p < SIGNIFICANT:
        return "fail", note
    return ("pass" if len(right) >= LEAST_ANSWERS else "not enough evidence"), note
