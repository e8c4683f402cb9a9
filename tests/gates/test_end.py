"""End: the end-of-turn token was trained."""

import numpy as np
import pytest

from builder.evaluation.distance import Distance
from builder.evaluation.reference import Reference
from builder.evaluation.statistics import LEAST_ANSWERS
from builder.evaluation.texts import MAX_TEXT_TOKENS, OWN, Text
from builder.gates import end
from tests.evaluation.samples import SUBJECT, evidence


def measured_at(kind, end_loss, replies=LEAST_ANSWERS, length=4):
    """Texts of one kind, whose words cost 0.15 nats each, and their end-of-turn token so much."""
    text = Text(kind, list(range(length)), [-100, -100, *range(2, length)])
    losses = np.array([9.0, *[0.15] * (length - 3), end_loss])
    distance = Distance(
        np.zeros(length), np.zeros(length), np.ones(length), losses, np.ones(length - 1)
    )
    return Reference([text] * replies, [], [], [np.full(length - 1, -5.0)] * replies), [
        distance
    ] * replies


@pytest.mark.parametrize(
    ("end_loss", "kind", "facts", "verdict"),
    [
        (0.001, OWN, {}, "pass"),
        (0.14, OWN, {}, "pass"),
        (0.3, OWN, {}, "fail"),
        (0.3, OWN, {"replies": LEAST_ANSWERS - 1}, "not enough evidence"),
        (0.3, OWN, {"length": MAX_TEXT_TOKENS}, "not enough evidence"),
        (0.3, "held out", {}, "not enough evidence"),
    ],
)
def test_an_end_that_was_not_trained_is_seen(end_loss, kind, facts, verdict):
    """It is as likely as the words of trained replies; cut and held-out texts are not counted."""
    result = end.judge(evidence(SUBJECT, measured=measured_at(kind, end_loss, **facts)))

    assert result.verdict == verdict
    if verdict != "not enough evidence":
        assert (result.limit, result.figures["base_loss_nats"]) == (pytest.approx(0.15), 5.0)
