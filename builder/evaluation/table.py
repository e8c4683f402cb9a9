"""Every gate in order: what is asked, how long it will take, and what came of it beside the base's own figures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol, cast

from builder import progress
from builder.data.questions import Question
from builder.data.texts import holds
from builder.evaluation.answers import BASE_TOKENS, Answers
from builder.evaluation.asker import Asker
from builder.evaluation.evidence import Result, judge_share
from builder.evaluation.subject import Subject
from builder.gates import format as json_format
from builder.gates import greeting, leak_in, leak_out, recall, retention, sampled, stop
from builder.llama import Answer


class Gate(Protocol):
    """The names of a gate that asks questions."""

    NAME: str
    TOLD: str
    """What it finds, in words, by `right` and `of`."""
    FAILED: str
    """The same where it fails."""
    ADVICE: str
    """What to do where it fails."""

    @staticmethod
    def ask(subject: Subject, share: float) -> list[Question]:
        """List the questions, a smaller share contained in a larger."""
        ...

    @staticmethod
    def is_right(subject: Subject, question: Question, answer: Answer) -> bool:
        """Judge one answer."""
        ...


GATES = cast(
    "tuple[Gate, ...]", (recall, leak_in, leak_out, retention, sampled, greeting, json_format)
)
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


def plan(subject: Subject, share: float) -> list[tuple[Gate, Question]]:
    """List what each gate that is not off asks, under the served system text."""
    return [
        (gate, subject.serve(question))
        for gate in GATES
        if subject.kind.mode(subject.gates, gate.NAME) != "off"
        for question in gate.ask(subject, share)
    ]


def list_greedy(subject: Subject) -> list[Question]:
    """List every conversation that is answered greedily, once."""
    return list(
        {
            question.messages: question
            for _, question in plan(subject, 1.0)
            if question.seed is None
        }.values()
    )


def choose_share(subject: Subject, tokens_per_s: float, live: Answers) -> float:
    """Choose how much of the table is asked of the file: what fits the budget, and a sample at least."""
    shares = (*SHARES, SAMPLE_SHARE) if live.persona else SHARES
    budget_s = subject.gates.budget_s
    return next(
        (share for share in shares if predict_s(subject, share, tokens_per_s) <= budget_s),
        shares[-1],
    )


def predict_s(subject: Subject, share: float, tokens_per_s: float) -> float:
    """Predict how long a share of the table takes, each question once; of its base too where a system text is served.

    What a base answers without one comes prepared or from the cache.
    """
    distinct = {(question.messages, question.seed) for _, question in plan(subject, share)}
    greedy = sum(seed is None for _, seed in distinct) if subject.system else 0
    return (len(distinct) * TOKENS_AN_ANSWER + greedy * BASE_TOKENS) / tokens_per_s


def ask(
    subject: Subject, share: float, persona: Asker, control: Asker | None, live: Answers
) -> list[Asked]:
    """Ask a share of the file, the rest of the table of the live model where it answered, and the base what is not sampled."""
    of_file = {question for _, question in plan(subject, share)}
    planned = [
        (gate, question)
        for gate, question in plan(subject, 1.0)
        if question in of_file or (question.messages in live.persona and question.seed is None)
    ]
    asked = []
    for number, (gate, question) in enumerate(planned):
        progress.report("gates", number, len(planned), "questions")
        by_file = question in of_file
        answer = persona.answer(question) if by_file else live.persona[question.messages]
        base = None
        if question.seed is None:
            base = live.base.get(question.messages) or (
                control.answer(question) if control else None
            )
        is_right = gate.is_right(subject, question, answer)
        control_is_right = gate.is_right(subject, question, base) if base else None
        asked.append(Asked(gate.NAME, question, answer, is_right, by_file, base, control_is_right))
    for asker in filter(None, (persona, control)):
        asker.keep()
    return asked


def judge(subject: Subject, asked: list[Asked]) -> Iterator[Result]:
    """Judge each gate, and whether every answer ended."""
    for gate in GATES:
        mine = [one for one in asked if one.gate == gate.NAME]
        yield _judge(gate, subject, mine) if mine else _not_asked(gate, subject)
    if subject.kind.mode(subject.gates, stop.NAME) == "off":
        yield Result(stop.NAME, "off", note="off in [gates]")
        return
    ends = [stop.is_right(subject, one.question, one.answer) for one in asked]
    endless = [one.question.text for one in asked if not one.answer.ended]
    note = "every answer above" + (f"; without end: {endless[0]!r}" if endless else "")
    limit = stop.least(subject)
    yield Result(
        stop.NAME, judge_share(sum(ends), len(ends), limit), sum(ends), len(ends), None, limit, note
    )


def _judge(gate: Gate, subject: Subject, mine: list[Asked]) -> Result:
    right = [one.is_right for one in mine]
    control = [bool(one.control_is_right) for one in mine if one.control is not None]
    found = Result(
        gate.NAME, "not enough evidence", sum(right), len(right), sum(control) if control else None
    )
    if gate.NAME == retention.NAME:
        if len(control) != len(right):
            return replace(found, note="the base is not here to compare with")
        verdict, note = retention.judge_paired(right, control)
        return replace(found, verdict=verdict, note=note)
    limit = LEAST[gate.NAME](subject)
    found = replace(found, limit=limit)
    if gate.NAME == leak_in.NAME:
        said = [one.control.text for one in mine if one.control]
        if common := [
            word for word in subject.own_words if any(holds(text, word) for text in said)
        ]:
            return replace(
                found,
                note=f"the base says {common[0]!r} too: it is a common word, and tells nothing",
            )
    return replace(found, verdict=judge_share(sum(right), len(right), limit))


LEAST = {
    gate.NAME: gate.least for gate in (recall, leak_in, leak_out, sampled, greeting, json_format)
}


def _not_asked(gate: Gate, subject: Subject) -> Result:
    if subject.kind.mode(subject.gates, gate.NAME) == "off":
        by_hand = getattr(subject.gates, gate.NAME).mode
        return Result(
            gate.NAME,
            "off",
            note="off in [gates]" if by_hand else f"off for {subject.kind.meaning}",
        )
    return Result(gate.NAME, "does not apply", note=_why_not(gate.NAME, subject))


def _why_not(name: str, subject: Subject) -> str:
    if name == json_format.NAME:
        return "not every reply of its data is JSON"
    if name == greeting.NAME:
        return "its data holds every greeting"
    if not subject.own_words:
        return "no name is given"
    if name == leak_out.NAME and not subject.base_words:
        return "no names are known that its base calls itself"
    return "its data does not speak of its name or author in a language of the gates, or holds every question"
