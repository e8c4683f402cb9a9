"""An answered question, and the result of a gate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from builder.data.questions import Question
from builder.evaluation.statistics import Verdict, judge_share
from builder.evaluation.subject import Subject
from builder.llama import Answer

IsRight = Callable[[Subject, Question, Answer], bool]


@dataclass(frozen=True)
class Answered:
    """A question with the answers of the persona and of its base."""

    gate: str
    """The gate that asked it."""
    question: Question
    answer: Answer
    by_file: bool = True
    """Whether the file answered; if not, the in-memory model did, after training."""
    baseline: Answer | None = None
    """The base's answer; None if it was not asked."""


@dataclass(frozen=True)
class Mark:
    """Whether the answer is right, and the base's answer; None if the base was not asked."""

    is_right: bool
    baseline_is_right: bool | None


@dataclass(frozen=True)
class Result:
    """The result of a gate, with the base's figure."""

    gate: str
    verdict: Verdict
    right: int = 0
    of: int = 0
    baseline_right: int | None = None
    limit: float | None = None
    """The smallest share that must be right, or the largest value allowed for the note's figure."""
    note: str = ""
    figures: dict[str, float | list[float]] = field(default_factory=dict)
    brief: str = ""
    """A few words for the line of the smoke stage, or ""."""
    marks: tuple[Mark | None, ...] = ()
    """One for each of the gate's own questions, in order; None if it is not judged."""
    wrong: tuple[Answered, ...] = ()
    """The answers that are shown as examples if it fails."""
    missed: tuple[str, ...] = ()
    """Questions of the persona's rows whose replies are not given."""


def count(gate: str, subject: Subject, answered: Sequence[Answered], is_right: IsRight) -> Result:
    """Count the right answers of the persona and of its base, without a verdict."""
    marks = tuple(
        Mark(
            is_right(subject, item.question, item.answer),
            is_right(subject, item.question, item.baseline) if item.baseline else None,
        )
        for item in answered
    )
    baseline = [mark.baseline_is_right for mark in marks if mark.baseline_is_right is not None]
    right = sum(mark.is_right for mark in marks)
    return Result(
        gate,
        "not enough evidence",
        right,
        len(marks),
        sum(baseline) if baseline else None,
        brief=f"{gate.replace('_', ' ')} {right}/{len(marks)}",
        marks=marks,
        wrong=tuple(item for item, mark in zip(answered, marks, strict=True) if not mark.is_right),
    )


def judge_count(counted: Result, least: float) -> Result:
    """Judge a counted share by the smallest share that must be right."""
    return replace(counted, limit=least, verdict=judge_share(counted.right, counted.of, least))


def does_not_apply(gate: str, reason: str) -> Result:
    """Say that a gate does not apply, and why."""
    return Result(gate, "does not apply", note=reason)
