"""Gate stop: every answer ends by itself, is not empty, and holds nothing of the template."""

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
# What a model writes if it does not stop at its end-of-turn token: the header of the next turn.
SCAFFOLD = re.compile(
    r"### ?(Instruction|Response)|^(user|assistant|system)\s*:?\s*$|<\|[^|<>]*\|>",
    re.MULTILINE | re.IGNORECASE,
)


def questions(_subject: Subject, _share: float) -> list[Question]:
    """List nothing: it judges the answers to the other gates' questions."""
    return []


def is_right(subject: Subject, answer: Answer) -> bool:
    """Say whether the answer ended in time, is not empty, and holds nothing of the template."""
    return (
        answer.ended
        and bool(answer.text.strip())
        and not SCAFFOLD.search(answer.text)
        and not any(token in answer.text for token in subject.special_tokens)
    )


def judge(evidence: Evidence) -> Result:
    """Compare the share of answers that ended with `gates.stop`.

    The answers of all gates count, in the languages of the data. In other languages many bases
    loop, trained or not: an endless answer there is named in the note only.
    """
    subject = evidence.subject
    counted: list[Answered] = []
    foreign: list[Answered] = []
    for item in evidence.all_answered:
        if item.question.tools:  # a call may hold special tokens; gate calls judges it
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
