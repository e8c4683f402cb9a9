"""Trained: the replies of few rows are given word for word."""

from dataclasses import replace

import numpy as np
import pytest

from builder.data.dataset import Example
from builder.evaluation.distance import Distance
from builder.evaluation.reference import Reference
from builder.evaluation.texts import OF_PACKS, OWN, Text
from builder.gates import trained
from tests.evaluation.samples import SUBJECT, evidence

# A question of two tokens, a reply of two.
IDS, LABELS = [1, 2, 3, 4], [-100, -100, 3, 4]
GIVEN, MISSED, NO_END = [False, True, True], [True, False, True], [True, True, False]


def row(number, pack=None):
    """A row with a question of its own."""
    messages = [
        {"role": "user", "content": f"{number}?"},
        {"role": "assistant", "content": "Yes."},
    ]
    return Example(messages, IDS, LABELS, pack=pack)


def judge(expected, rows, kind=OWN, texts=None):
    """Judge a file by whether each following token of each text is its likeliest."""
    zeros = np.zeros(4)
    texts = texts or [Text(kind, IDS, LABELS)] * len(expected)
    distances = [
        Distance(zeros, zeros, zeros, np.zeros(3), np.array(tokens)) for tokens in expected
    ]
    measured = Reference(texts, [], [], [np.zeros(3)] * len(texts)), distances
    return trained.judge(evidence(SUBJECT, measured=measured, rows=rows))


@pytest.mark.parametrize(
    ("expected", "right", "verdict"),
    [
        ([GIVEN] * 12, 12, "pass"),
        ([GIVEN] * 6 + [MISSED] * 6, 6, "pass"),
        ([GIVEN] * 5 + [NO_END] * 7, 5, "not enough evidence"),
        ([GIVEN] + [MISSED] * 11, 1, "fail"),
        ([GIVEN] * 4, 4, "not enough evidence"),
    ],
)
def test_a_reply_is_given_where_each_of_its_tokens_is_the_likeliest(expected, right, verdict):
    """Tokens of the question do not count, the end of the turn does."""
    result = judge(expected, [row(number) for number in range(12)])

    assert (result.right, result.of, result.verdict) == (right, len(expected), verdict)


@pytest.mark.parametrize("kind", ["held out", "general", OF_PACKS])
def test_only_its_own_replies_are_counted(kind):
    """Neither held-out replies nor those of packs are expected word for word."""
    result = judge([MISSED] * 12, [row(0)], kind=kind)

    assert (result.of, result.verdict) == (0, "not enough evidence")


@pytest.mark.parametrize(
    ("rows", "note"),
    [
        ([row(number) for number in range(100)], "it has 100 rows"),
        ([row(number, "identity/en") for number in range(12)], "all its rows come from packs"),
    ],
)
def test_many_rows_and_rows_of_packs_are_not_expected_by_heart(rows, note):
    """Of many rows the manner is learnt; those of packs teach a name in whatever words."""
    result = judge([MISSED] * 12, rows)

    assert (result.verdict, note in result.note) == ("does not apply", True)


def test_the_two_forms_of_a_row_are_one_row():
    """A row with the served system text before it is not counted again."""
    served = {"role": "system", "content": "Be brief."}
    rows = [row(number) for number in range(60)]
    rows += [
        Example([served, *one.messages], one.input_ids, one.labels, has_system=True) for one in rows
    ]

    assert judge([GIVEN] * 12, rows).verdict == "pass"


def test_the_rows_whose_reply_is_not_given_are_named():
    """By their questions; a row that was edited since has none. A sample is told as one."""
    rows = [replace(row(number), input_ids=[number, 2, 3, 4]) for number in range(1, 21)]
    texts = [Text(OWN, [number, 2, 3, 4], LABELS) for number in range(12)]
    result = judge([MISSED] + [GIVEN] * 8 + [MISSED] * 3, rows, texts=texts)
    whole = judge([GIVEN] * 8, [row(number) for number in range(8)])

    assert result.note == "12 of its 20 rows were compared"
    assert (result.right, result.of, result.missed) == (8, 12, ("9?", "10?", "11?"))
    assert (whole.note, whole.missed) == ("", ())
