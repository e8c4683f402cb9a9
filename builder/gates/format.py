"""Gate format: if every reply in the data is JSON, answers to other questions are JSON too."""

from __future__ import annotations

from builder.data.questions import Question, load, part
from builder.data.texts import is_json, normalise
from builder.evaluation.gate import Evidence
from builder.evaluation.result import Result, count, does_not_apply, judge_count
from builder.evaluation.subject import Subject
from builder.llama import Answer

NAME = "format"
TOLD = "keeps to JSON in {right} of {of} answers to other questions"
FAILED = TOLD
ADVICE = "add rows that ask about other things, each answered in the format"
IS_TOLD = True


def questions(subject: Subject, share: float) -> list[Question]:
    """List leak_in's questions in the languages of the data, if its replies are JSON."""
    if not subject.is_json:
        return []
    spoken = [question for question in load("leak_in") if question.language in subject.spoken]
    return [
        question
        for question in part(spoken, share)
        if normalise(question.text) not in subject.trained
    ]


def is_right(_subject: Subject, _question: Question, answer: Answer) -> bool:
    """Say whether the whole answer is JSON."""
    return is_json(answer.text)


def judge(evidence: Evidence) -> Result:
    """Compare the share of answers in JSON with `gates.format`."""
    if not evidence.answered:
        return does_not_apply(NAME, "not every reply of its data is JSON")
    counted = count(NAME, evidence.subject, evidence.answered, is_right)
    return judge_count(counted, evidence.subject.gates.limit(NAME))
