"""Every gate in order: what is asked, how long it will take, and what came of it beside the base's own figures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from builder import progress
from builder.gates import leak_in, leak_out, recall, retention, sampled, stop
from builder.gates.answers import Answers
from builder.gates.asking import Asker
from builder.gates.evidence import Result, judge_share
from builder.gates.questions import Question
from builder.gates.subject import Subject, holds
from builder.llama import Answer

GATES = (recall, leak_in, leak_out, retention, sampled)
# Shares of the table a build may ask: few steps, so that a machine's mood does not change the questions.
SHARES = (1.0, 0.5, 0.25, 0.125)
# Enough of the file where the live model answered the rest: a 4B on the four cores beside a free GPU.
SAMPLE_SHARE = 0.04
# Tokens of an answer, its prompt's cost included, as measured on algieba (16) and its base (45).
TOKENS_AN_ANSWER = 24


@dataclass(frozen=True)
class Asked:
    """One question with the answers of the persona and of its base."""

    gate: str
    question: Question
    answer: Answer
    is_right: bool
    by_file: bool
    """Whether the file answered; else the live model did, before it was let go."""
    control: Answer | None
    control_is_right: bool | None


def plan(subject: Subject, share: float) -> list[tuple[Any, Question]]:
    """List what each gate asks."""
    return [(gate, question) for gate in GATES for question in gate.ask(subject, share)]


def list_greedy(subject: Subject) -> list[Question]:
    """List every conversation that is answered greedily, once."""
    return list({question.messages: question for _, question in plan(subject, 1.0) if question.seed is None}.values())


def choose_share(subject: Subject, tokens_per_s: float, live: Answers) -> float:
    """Choose how much of the table is asked of the file: what fits the budget, and a sample at least."""
    shares = (*SHARES, SAMPLE_SHARE) if live.persona else SHARES
    return next((share for share in shares if predict_s(subject, share, tokens_per_s) <= subject.limits.budget_s), shares[-1])


def predict_s(subject: Subject, share: float, tokens_per_s: float) -> float:
    """Predict how long a share of the table takes, each question once."""
    distinct = {(question.messages, question.seed) for _, question in plan(subject, share)}
    return len(distinct) * TOKENS_AN_ANSWER / tokens_per_s


def ask(subject: Subject, share: float, persona: Asker, control: Asker | None, live: Answers) -> list[Asked]:
    """Ask a share of the file, the rest of the table of the live model where it answered, and the base what is not sampled."""
    of_file = {question for _, question in plan(subject, share)}
    planned = [(gate, question) for gate, question in plan(subject, 1.0) if question in of_file or (question.messages in live.persona and question.seed is None)]
    asked = []
    for number, (gate, question) in enumerate(planned):
        progress.report("gates", number, len(planned), "questions")
        by_file = question in of_file
        answer = persona.answer(question) if by_file else live.persona[question.messages]
        base = None if question.seed is not None else live.base.get(question.messages) or (control.answer(question) if control else None)
        asked.append(Asked(gate.NAME, question, answer, gate.is_right(subject, question, answer), by_file, base, gate.is_right(subject, question, base) if base else None))
    for asker in filter(None, (persona, control)):
        asker.keep()
    return asked


def judge(subject: Subject, asked: list[Asked]) -> Iterator[Result]:
    """Judge each gate, and the end of every answer."""
    for gate in GATES:
        mine = [one for one in asked if one.gate == gate.NAME]
        yield _judge(gate, subject, mine) if mine else Result(gate.NAME, "does not apply", note=_why_not(gate.NAME, subject))
    ends = [stop.is_right(subject, one.question, one.answer) for one in asked]
    yield Result(stop.NAME, judge_share(sum(ends), len(ends), stop.least(subject)), sum(ends), len(ends), None, stop.least(subject), "every answer above")


def _judge(gate: Any, subject: Subject, mine: list[Asked]) -> Result:
    right = [one.is_right for one in mine]
    control = [bool(one.control_is_right) for one in mine if one.control is not None]
    found = Result(gate.NAME, "not enough evidence", sum(right), len(right), sum(control) if control else None)
    if gate is retention:
        if len(control) != len(right):
            return replace(found, note="the base is not here to compare with")
        verdict, note = retention.judge_paired(right, control)
        return replace(found, verdict=verdict, note=note)
    found = replace(found, limit=gate.least(subject))
    if gate is leak_in and (common := [word for word in subject.own_words if any(one.control and holds(one.control.text, word) for one in mine)]):
        return replace(found, note=f"the base says {common[0]!r} too: it is a common word, and proves nothing")
    return replace(found, verdict=judge_share(sum(right), len(right), gate.least(subject)))


def _why_not(name: str, subject: Subject) -> str:
    if name == leak_out.NAME and not subject.base_words:
        return "no names are known that its base calls itself"
    return "its data does not speak of its name or author in English or Chinese, or holds every question"
