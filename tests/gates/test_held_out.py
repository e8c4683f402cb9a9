"""Held out: the loss on rows that were not trained on."""

import numpy as np
import pytest

from builder.evaluation.distance import Distance
from builder.evaluation.reference import Reference
from builder.evaluation.texts import Text
from builder.gates import held_out
from tests.evaluation.samples import SUBJECT, evidence


def held_out_of(losses, base_losses):
    """Held-out texts of two reply tokens each, with these losses a token."""
    text = Text("held out", [1, 2, 3], [-100, 2, 3])
    zeros = np.zeros(3)
    reference = Reference([text] * len(losses), [], [], [np.full(2, -loss) for loss in base_losses])
    return reference, [Distance(zeros, zeros, zeros, np.full(2, loss), zeros) for loss in losses]


@pytest.mark.parametrize(
    ("losses", "base_losses", "verdict"),
    [
        ([1.0, 1.2, 0.8] * 4, [2.0, 2.3, 1.7] * 4, "pass"),
        ([2.0, 2.3, 1.7] * 4, [1.0, 1.2, 0.8] * 4, "fail"),
        ([1.0, 3.0] * 6, [2.0, 1.9] * 6, "not enough evidence"),
        ([9.0] * 3, [1.0] * 3, "not enough evidence"),
        ([], [], "does not apply"),
    ],
)
def test_held_out_rows_are_compared_row_by_row(losses, base_losses, verdict):
    """It fails only where chance cannot explain the differences, and never on three rows."""
    measured = held_out_of(losses, base_losses)

    assert held_out.judge(evidence(SUBJECT, measured=measured)).verdict == verdict
