"""Neutral: the distance from the base on other text."""

import numpy as np

from builder.evaluation.distance import Distance
from builder.evaluation.reference import Reference
from builder.evaluation.texts import Text
from builder.gates import neutral
from tests.evaluation.samples import SUBJECT, evidence


def test_neutral_text_is_judged_by_its_interval():
    """Far from the base on every text fails; on some and near on others is not enough evidence."""

    def judged(divergences):
        text = Text("neutral", [1, 2], [1, 2])
        reference = Reference([text] * len(divergences), [], [], [])
        distances = [
            Distance(np.zeros(2), np.full(2, value), np.zeros(2), np.zeros(1), np.zeros(1))
            for value in divergences
        ]
        return neutral.judge(evidence(SUBJECT, measured=(reference, distances))).verdict

    assert [judged([0.5] * 12), judged([3.0] * 12), judged([0.0, 5.0] * 6)] == [
        "pass",
        "fail",
        "not enough evidence",
    ]
