"""Sampled: recall at the served temperature."""

from builder.gates import recall, sampled
from tests.evaluation.samples import SUBJECT


def test_each_wording_is_sampled_once():
    """As many wordings as recall asks, each with a seed of its own."""
    asked = sampled.questions(SUBJECT, 1.0)

    assert [one.messages for one in asked] == [
        one.messages for one in recall.questions(SUBJECT, 1.0)
    ]
    assert len({one.seed for one in asked}) == len(asked)


def test_a_smaller_share_is_part_of_a_larger_one():
    """With the same seeds, so that cached answers are found again."""
    few = sampled.questions(SUBJECT, 0.125)

    assert len(few) > 2
    assert set(few) < set(sampled.questions(SUBJECT, 1.0))
