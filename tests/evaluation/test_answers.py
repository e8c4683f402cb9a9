"""What the in-memory model answered."""

import json

import pytest

from builder.evaluation import answers, budget
from builder.gates.table import GATES
from tests.evaluation.samples import SUBJECT, answer


def test_recorded_answers_of_another_bound_count_for_nothing(tmp_path):
    """Answers of another bound than smoke.max_tokens, or of a file cut short, are not used."""
    path = tmp_path / "answers.json"
    answers.record(
        budget.list_greedy(GATES, SUBJECT)[:2],
        64,
        lambda questions: [answer("x") for _ in questions],
        lambda questions: [answer("y") for _ in questions],
        path,
    )

    assert len(answers.read(path, 64).persona) == len(answers.read(path, 64).base) == 2
    assert answers.read(path, 48) == answers.Answers()
    path.write_text(path.read_text()[:100])
    assert answers.read(path, 64) == answers.Answers()


@pytest.mark.parametrize("rows", [None, {}, [3], [{"answer": 1}], [{"messages": [{}]}]])
def test_damaged_answers_are_none(tmp_path, rows):
    """The file is asked instead."""
    path = tmp_path / "answers.json"
    values = {"schema": answers.SCHEMA, "max_tokens": 9, "persona": rows, "base": []}
    path.write_text(json.dumps(values))

    assert answers.read(path, 9) == answers.Answers()
