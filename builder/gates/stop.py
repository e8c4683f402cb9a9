"""Gate stop: every answer ends by itself, says something, and shows nothing of the template."""

from __future__ import annotations

import re

from builder.data.questions import Question
from builder.evaluation.gate import Evidence
from builder.evaluation.result import Result, judge_count
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
    """Compare the share of all gates' answers that ended with `gates.stop`."""
    subject = evidence.subject
    right = sum(is_right(subject, item.answer) for item in evidence.all_answered)
    of = len(evidence.all_answered)
    endless = tuple(item for item in evidence.all_answered if not item.answer.ended)
    counted = Result(
        NAME,
        "not enough evidence",
        right,
        of,
        note="every answer above"
        + (f"; without end: {endless[0].question.text!r}" if endless else ""),
        brief=f"{NAME} {right}/{of}" if of else "",
        wrong=endless,
    )
    return judge_count(counted, subject.gates.limit(NAME))
