"""Sampled: recall at the served temperature."""

from builder.gates import sampled
from tests.evaluation.samples import SUBJECT


def test_samples_have_seeds_of_their_own():
    """Each sampled wording is asked five times, each time with another seed."""
    asked = sampled.questions(SUBJECT, 1.0)

    assert len(asked) == len(set(asked)) == sampled.SAMPLES * len({one.messages for one in asked})
