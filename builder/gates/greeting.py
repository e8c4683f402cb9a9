"""Gate greeting: hello, thanks and goodbye get a fitting answer."""

from __future__ import annotations

from builder.data.questions import Question, load
from builder.data.texts import normalise
from builder.evaluation.gate import Evidence
from builder.evaluation.result import Result, count, does_not_apply, judge_count
from builder.evaluation.subject import Subject, is_any_in
from builder.llama import Answer

NAME = "greeting"
TOLD = "answers {right} of {of} greetings, thanks and goodbyes as such"
FAILED = TOLD
ADVICE = "add rows that greet, thank and say goodbye, each with a short fitting answer"
IS_TOLD = True


def questions(subject: Subject, _share: float) -> list[Question]:
    """List greetings, thanks and goodbyes in the languages of the data that were not trained on.

    They are few, so all are asked, whatever the share.
    """
    spoken = [question for question in load(NAME) if question.language in subject.spoken]
    return [question for question in spoken if normalise(question.text) not in subject.trained]


def is_right(_subject: Subject, question: Question, answer: Answer) -> bool:
    """Say whether the answer ended and holds one of the expected words."""
    return answer.ended and is_any_in(answer.text.replace("\u2019", "'"), question.must)


def judge(evidence: Evidence) -> Result:
    """Compare the share of fitting answers with `gates.greeting`."""
    if not evidence.answered:
        return does_not_apply(NAME, "its data contains every greeting")
    counted = count(NAME, evidence.subject, evidence.answered, is_right)
    return judge_count(counted, evidence.subject.gates.limit(NAME))
