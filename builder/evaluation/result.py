"""An answered question, and what a gate finds in answers."""

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
    """One question with the answers of the persona and of its base."""

    gate: str
    """The gate that asked it."""
    question: Question
    answer: Answer
    by_file: bool = True
    """Whether the file answered; else the in-memory model did, at the end of training."""
    baseline: Answer | None = None
    """The base's answer; None where it was not asked."""


@dataclass(frozen=True)
class Mark:
    """Whether an answer is right, and the base's; None where the base was not asked."""

    is_right: bool
    baseline_is_right: bool | None


@dataclass(frozen=True)
class Result:
    """What one gate found, with the base's figure beside it."""

    gate: str
    verdict: Verdict
    right: int = 0
    of: int = 0
    baseline_right: int | None = None
    limit: float | None = None
    """The least share that must be right, or the greatest figure of the note."""
    note: str = ""
    figures: dict[str, float | list[float]] = field(default_factory=dict)
    brief: str = ""
    """A word or two for the line of the smoke stage; nothing where no figure tells it."""
    marks: tuple[Mark | None, ...] = ()
    """One for each of the gate's own questions, in order; None of one that is not judged."""
    wrong: tuple[Answered, ...] = ()
    """The answers that are shown as examples where it fails."""


def count(gate: str, subject: Subject, answered: Sequence[Answered], is_right: IsRight) -> Result:
    """Count the right answers of the persona and of its base; the verdict is left open."""
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
    """Compare a counted share with the least that must be right."""
    return replace(counted, limit=least, verdict=judge_share(counted.right, counted.of, least))


def does_not_apply(gate: str, reason: str) -> Result:
    """Say that a gate does not apply, and why."""
    return Result(gate, "does not apply", note=reason)
