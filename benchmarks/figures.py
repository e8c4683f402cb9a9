"""What a persona's answers show by its own data and rules: rows word for word, voice, format."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.runs import spread
from builder.data.dataset import Example
from builder.data.template import Message
from tests.personas import steps, voice

EXACT_ROWS = 40
OTHER_SYSTEM = "You are a helpful assistant."
Ask = Callable[[list[list[Message]]], list[str]]
"""Answers conversations greedily, each of which awaits its answer."""


@dataclass(frozen=True)
class Judged:
    """A question, its answer, and whether the persona's own rule holds of it."""

    question: str
    answer: str
    is_right: bool


Figure = list[Judged]


def measure_exact(ask: Ask, examples: Sequence[Example], served: str | None) -> dict[str, Figure]:
    """Count the trained rows that are answered word for word.

    Args:
        ask: Asks the model.
        examples: What was trained on.
        served: The system text that is served; None where none is.

    Returns:
        `exact_served` under the system text that is served, or none; `exact_none` without one; and
        `exact_other` under one that a client may send.

    """
    rows = choose_rows(examples)
    counted = {
        system: judge_exact(ask, rows, system)
        for system in dict.fromkeys((served or None, None, OTHER_SYSTEM))
    }
    return {
        "exact_served": counted[served or None],
        "exact_none": counted[None],
        "exact_other": counted[OTHER_SYSTEM],
    }


def choose_rows(examples: Sequence[Example]) -> list[list[Message]]:
    """Choose some rows, without the served system text, from the whole of what was trained on."""
    distinct = {repr(example.conversation): example.conversation for example in examples}
    return spread(list(distinct.values()), EXACT_ROWS)


def judge_exact(ask: Ask, rows: Sequence[list[Message]], system: str | None) -> Figure:
    """Ask rows again under a system text, and compare each answer with the last reply."""
    answers = ask([add_system(row[:-1], system) for row in rows])
    return [
        Judged(row[-2]["content"], answer, answer.strip() == row[-1]["content"])
        for row, answer in zip(rows, answers, strict=True)
    ]


def measure_rules(ask: Ask, name: str, served: str | None) -> dict[str, Figure]:
    """Ask the unseen questions of a persona's rule in tests/personas, under what is served.

    Args:
        ask: Asks the model.
        name: The persona.
        served: The system text that is served; None where none is.

    Returns:
        `voice` and `voice_blind`, whose questions were written by somebody who saw no row, where
        the persona's voice has a rule; `format` for `steps`; nothing for another persona.

    """
    figures: dict[str, Figure] = {}
    if voice.has_rule(name):
        rule = voice.read_rule(name)
        for figure, questions in (("voice", rule.questions), ("voice_blind", rule.blind)):
            figures[figure] = _judge(ask, questions, served, rule.is_met_by)
    if name == "steps":
        unseen = [text for asked in steps.RULE["questions"].values() for text in asked]
        figures["format"] = _judge(ask, unseen, served, steps.is_in_format)
    return figures


def add_system(messages: list[Message], text: str | None) -> list[Message]:
    """Put a system text before a conversation that has none of its own."""
    if not text or messages[0]["role"] == "system":
        return messages
    return [{"role": "system", "content": text}, *messages]


def _judge(
    ask: Ask, questions: Sequence[str], served: str | None, is_right: Callable[[str], bool]
) -> Figure:
    conversations = [add_system([{"role": "user", "content": text}], served) for text in questions]
    answers = ask(conversations)
    return [
        Judged(question, answer, is_right(answer))
        for question, answer in zip(questions, answers, strict=True)
    ]
