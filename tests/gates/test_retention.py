"""Retention: what the base could do, the persona can still do."""

import dataclasses

import pytest

from builder.gates import retention
from tests.evaluation.samples import SUBJECT, answer, answered, evidence, question


def test_retention_is_paired():
    """Losing what the base could do fails; being no better than it does not."""
    assert retention.judge_paired([False] * 10, [True] * 10)[0] == "fail"
    assert retention.judge_paired([True, False] * 5, [False, True] * 5)[0] == "pass"
    assert not retention.is_right(SUBJECT, question("3 + 4?", must=("7",)), answer("It is 17."))
    assert retention.is_right(SUBJECT, question("3 + 4?", must=("7",)), answer("7."))


@pytest.mark.parametrize(
    ("spoken", "asked"),
    [(("en",), {"en"}), (("en", "zh"), {"en", "zh"}), (("fr",), {"en"})],
)
def test_tasks_are_in_the_languages_of_the_data(spoken, asked):
    """A persona of a language without tasks is asked those in English."""
    tasks = retention.questions(dataclasses.replace(SUBJECT, spoken=spoken), 1.0)

    assert {task.language for task in tasks} == asked


def test_without_the_bases_answers_nothing_is_compared():
    """Where an answer of the base is missing nothing is judged, and the note says so."""
    both = answered("retention", "1 + 1?", "2", "2")
    alone = answered("retention", "2 + 2?", "4")

    result = retention.judge(evidence(SUBJECT, [both, alone], gate="retention"))

    assert (result.verdict, result.note) == (
        "not enough evidence",
        "the base is not here to compare with",
    )
