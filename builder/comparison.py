"""Compares two builds: the settings, the gates' figures and the answers that differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from builder.history import Answer, Gate, Record


@dataclass(frozen=True)
class Setting:
    """A setting or a user's file in which two builds differ."""

    name: str
    first: Any
    """None if the first build does not have it."""
    second: Any


@dataclass(frozen=True)
class GatePair:
    """A gate's findings in both builds."""

    gate: str
    first: Gate | None
    second: Gate | None


@dataclass(frozen=True)
class AnswerPair:
    """A question that both builds were asked, with different answers."""

    gate: str
    ask: str
    first: str
    second: str
    first_is_right: bool
    second_is_right: bool


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How two builds differ."""

    first_name: str
    second_name: str
    first: dict[str, Any]
    """When and how the first build ended, its base, rows and size."""
    second: dict[str, Any]
    settings: list[Setting]
    gates: list[GatePair]
    asked: int
    """How many questions both builds were asked."""
    answers: list[AnswerPair]


def compare(first: Record, second: Record, names: tuple[str, str]) -> Comparison:
    """Compare two builds, of one persona or of two."""
    pairs = _pair_answers(first.answers, second.answers)
    first_gates = {gate.gate: gate for gate in first.gates}
    second_gates = {gate.gate: gate for gate in second.gates}
    return Comparison(
        first_name=names[0],
        second_name=names[1],
        first=_describe(first),
        second=_describe(second),
        settings=_compare_settings(first, second),
        gates=[
            GatePair(gate, first_gates.get(gate), second_gates.get(gate))
            for gate in dict.fromkeys([*first_gates, *second_gates])
        ],
        asked=len(pairs),
        answers=[
            AnswerPair(a.gate, a.ask, a.answer, b.answer, a.is_right, b.is_right)
            for a, b in pairs
            if a.answer != b.answer
        ],
    )


def _describe(record: Record) -> dict[str, Any]:
    keys = ("ended_at", "outcome", "stopped_at", "base", "rows", "size_bytes")
    return {key: getattr(record, key) for key in keys}


def _pair_answers(first: list[Answer], second: list[Answer]) -> list[tuple[Answer, Answer]]:
    by_question = {(answer.gate, answer.question): answer for answer in second}
    keys = ((answer, (answer.gate, answer.question)) for answer in first)
    return [(answer, by_question[key]) for answer, key in keys if key in by_question]


def _compare_settings(first: Record, second: Record) -> list[Setting]:
    """List the differences, each once, in the order of the stages; then the files.

    A stage that one of the builds did not reach has no settings there to compare.
    """
    found = {}
    for stage in (stage for stage in first.settings if stage in second.settings):
        old, new = first.settings[stage], second.settings[stage]
        for name in dict.fromkeys([*old, *new]):
            if old.get(name) != new.get(name):
                setting = Setting(name, old.get(name), new.get(name))
                found[name, repr(setting.first), repr(setting.second)] = setting
    files = dict.fromkeys([*first.contents, *second.contents])
    changed = [name for name in files if first.contents.get(name) != second.contents.get(name)]
    return [*found.values(), *(_compare_file(name, first, second) for name in changed)]


def _compare_file(name: str, first: Record, second: Record) -> Setting:
    old, new = first.contents.get(name), second.contents.get(name)
    return Setting(name, old and old[:12], new and new[:12])
