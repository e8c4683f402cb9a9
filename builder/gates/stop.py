"""Gate stop: every answer ends by itself, says something, and shows nothing of the template."""

from __future__ import annotations

import re
from collections.abc import Sequence

from builder.data.questions import Question
from builder.evaluation.gate import Evidence
from builder.evaluation.result import Answered, Result, judge_count
from builder.evaluation.subject import Subject
from builder.llama import Answer

NAME = "stop"
TOLD = "ends {right} of {of} answers by itself"
FAILED = TOLD
ADVICE = (
    "add rows of the kind that does not end, each with a short whole answer, "
    "or lower training.epochs"
)
IS_TOLD = False
# What a model writes that does not stop at its end-of-turn token: the next turn's heading.
SCAFFOLD = re.compile(
    r"### ?(Instruction|Response)|^(user|assistant|system)\s*:?\s*$|<\|[^|<>]*\|>",
    re.MULTILINE | re.IGNORECASE,
)


def questions(_subject: Subject, _share: float) -> list[Question]:
    """List nothing of its own: it judges what the other gates asked."""
    return []


def is_right(subject: Subject, answer: Answer) -> bool:
    """Say whether the answer ended within the bound and holds words alone."""
    return (
        answer.ended
        and bool(answer.text.strip())
        and not SCAFFOLD.search(answer.text)
        and not any(token in answer.text for token in subject.special)
    )


def judge(evidence: Evidence) -> Result:
    """Compare the share of answers that ended with `gates.stop`.

    Answers of all gates count, in the languages that the data is written in: many a base loops in
    another one, trained or not. An endless answer there is named, and stops nothing.
    """
    subject = evidence.subject
    counted: list[Answered] = []
    foreign: list[Answered] = []
    for item in evidence.all_answered:
        if item.question.tools:  # a call may be written with special tokens; gate calls reads it
            continue
        (counted if item.question.language in subject.spoken else foreign).append(item)
    endless = tuple(item for item in counted if not item.answer.ended)
    right, of = sum(is_right(subject, item.answer) for item in counted), len(counted)
    result = Result(
        NAME,
        "not enough evidence",
        right,
        of,
        note=_describe(endless, [item for item in foreign if not item.answer.ended]),
        brief=f"{NAME} {right}/{of}" if of else "",
        wrong=endless,
    )
    return judge_count(result, subject.gates.limit(NAME))


def _describe(endless: Sequence[Answered], foreign: Sequence[Answered]) -> str:
    note = "every answer in its data's languages"
    if endless:
        note += f"; without end: {endless[0].question.text!r}"
    if foreign:
        note += f"; in other languages {len(foreign)} without end: {foreign[0].question.text!r}"
    return note
