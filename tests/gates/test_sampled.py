"""Sampled: recall at the served temperature."""

import dataclasses

from builder.evaluation.statistics import LEAST_ANSWERS
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
    few, more = sampled.questions(SUBJECT, 0.125), sampled.questions(SUBJECT, 0.25)

    assert len(few) > 2
    assert set(few) < set(more) < set(sampled.questions(SUBJECT, 1.0))


def test_the_smallest_share_is_enough_to_judge_by():
    """Of one language or of two, also where a GPU leaves the file a sample."""
    for subject in (SUBJECT, dataclasses.replace(SUBJECT, own_languages=("en",))):
        assert len(sampled.questions(subject, 0.04)) >= LEAST_ANSWERS
