"""Chooses the questions that the file is asked: as many as fit into the time budget."""

from __future__ import annotations

from collections.abc import Sequence

from builder.data.questions import Question
from builder.evaluation.answers import BASE_TOKENS, Answers
from builder.evaluation.gate import Gate
from builder.evaluation.subject import Subject

# A few shares only, so that small differences in speed do not change the questions.
SHARES = (1.0, 0.5, 0.25, 0.125)
# A sample is enough if the in-memory model answers the rest: for a 4B on the four cores that come
# with a free GPU.
SAMPLE_SHARE, SAMPLE_S = 0.04, 10.0
# Mean tokens of an answer, with the cost of its prompt, as measured on algieba (16) and its base
# (45).
TOKENS_AN_ANSWER = 24


def plan(gates: Sequence[Gate], subject: Subject, share: float) -> list[tuple[Gate, Question]]:
    """List the questions of each gate that is not off, with the served system text."""
    return [
        (gate, subject.serve(question))
        for gate in gates
        if subject.mode(gate.NAME) != "off"
        for question in gate.questions(subject, share)
    ]


def list_greedy(gates: Sequence[Gate], subject: Subject) -> list[Question]:
    """List the conversations that are answered greedily and have no tools, each once."""
    every = [question for _, question in plan(gates, subject, 1.0)]
    asked = [question for question in every if question.seed is None and not question.tools]
    return list({question.messages: question for question in asked}.values())


def choose_share(
    gates: Sequence[Gate], subject: Subject, tokens_per_s: float, recorded: Answers
) -> float:
    """Choose the share of the questions that the file is asked.

    It is the largest that fits into `gates.budget_s`, or else the smallest there is. If the
    in-memory model answered the questions, a sample is enough.
    """
    shares: tuple[float, ...] = SHARES
    budget_s = subject.gates.budget_s
    if recorded.persona:
        shares, budget_s = (*SHARES, SAMPLE_SHARE), min(SAMPLE_S, budget_s)
    fitting = (
        share for share in shares if predict_s(gates, subject, share, tokens_per_s) <= budget_s
    )
    return next(fitting, shares[-1])


def predict_s(gates: Sequence[Gate], subject: Subject, share: float, tokens_per_s: float) -> float:
    """Predict how long a share of the questions takes.

    With a served system text the base is asked too; its other answers are bundled or cached.
    """
    planned = plan(gates, subject, share)
    distinct = {(item.messages, item.tools, item.seed) for _, item in planned}
    greedy = sum(seed is None for _, _, seed in distinct) if subject.system else 0
    return (len(distinct) * TOKENS_AN_ANSWER + greedy * BASE_TOKENS) / tokens_per_s
