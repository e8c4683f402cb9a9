"""The plan of a training: each row once an epoch, in few shapes, little padded, by the seed."""

import itertools
from collections import Counter

import pytest
import torch

from builder.data.template import IGNORED
from builder.training import shapes
from builder.training.batches import place
from tests.training.tiny import make_example, make_settings

TOKENS = [9, 9, 12, 12, 13, 40, 41, 44, 44, 45, 60, 61, 61, 200, 201, 9, 10, 11, 12, 13, 14]


def pad_all(tokens, lengths):
    """Count the tokens of rows that are padded to the least length that holds each."""
    return sum(min(length for length in lengths if length >= count) for count in tokens)


def test_lengths_are_few_and_hold_every_row():
    """At most four, multiples of eight, and the longest row fits the last."""
    lengths = shapes.choose_lengths(TOKENS)

    assert len(lengths) <= shapes.MOST_LENGTHS
    assert all(length % 8 == 0 for length in lengths)
    assert max(TOKENS) <= lengths[-1] < max(TOKENS) + 8
    assert list(lengths) == sorted(set(lengths))


def test_lengths_pad_the_least():
    """No other four lengths pad these rows less."""
    possible = sorted({shapes.round_up(count, 8) for count in TOKENS})
    least = min(
        pad_all(TOKENS, (*others, possible[-1]))
        for count in range(shapes.MOST_LENGTHS)
        for others in itertools.combinations(possible[:-1], count)
    )

    assert pad_all(TOKENS, shapes.choose_lengths(TOKENS)) <= least / shapes.WORTH_A_LENGTH


def test_a_length_that_spares_nothing_is_not_taken():
    """Rows of one length are one shape, and so are rows of which one is a little shorter."""
    assert shapes.choose_lengths([16] * 50) == (16,)
    assert shapes.choose_lengths([400] * 50 + [380]) == (400,)


def test_long_rows_are_planned_in_no_time():
    """Thousands of lengths are made coarser before they are compared."""
    lengths = shapes.choose_lengths(range(1, 16384, 3))

    assert len(lengths) == shapes.MOST_LENGTHS
    assert lengths[-1] >= 16382
    assert all(length % 64 == 0 for length in lengths)


@pytest.mark.parametrize("accumulation", [1, 3])
def test_every_row_comes_once_an_epoch(accumulation):
    """In batches of the manifest's size that hold it, those of a step as many as it says."""
    settings = make_settings(gradient_accumulation=accumulation)
    steps = shapes.count_steps(len(TOKENS), settings, 3)

    planned = shapes.plan_steps(TOKENS, settings, steps)

    assert len(planned) == steps
    for at in range(3):
        epoch = [
            batch for step in planned[at * steps // 3 : (at + 1) * steps // 3] for batch in step
        ]
        assert Counter(row for batch in epoch for row in batch.rows) == Counter(range(len(TOKENS)))
    for step in planned:
        assert 1 <= len(step) <= accumulation
        for batch in step:
            assert 1 <= len(batch.rows) <= 4
            assert all(TOKENS[row] <= batch.length for row in batch.rows)


def test_steps_are_counted_as_the_trainer_counts_them():
    """A part of an epoch is rounded up, an unfinished batch counts, and max_steps goes first."""
    assert shapes.count_steps(21, make_settings(), 2) == 12
    assert shapes.count_steps(21, make_settings(), 0.5) == 3
    assert shapes.count_steps(21, make_settings(gradient_accumulation=4), 1) == 2
    assert shapes.count_steps(21, make_settings(max_steps=5), 2) == 5


def test_the_order_is_by_the_seed():
    """The same seed gives the same plan, another one another, and each epoch has its own order."""
    plan = shapes.plan_steps(TOKENS, make_settings(seed=1), 12)

    assert plan == shapes.plan_steps(TOKENS, make_settings(seed=1), 12)
    assert plan != shapes.plan_steps(TOKENS, make_settings(seed=2), 12)
    assert plan[:6] != plan[6:]
    lengths = [step[0].length for step in plan[:6]]
    assert lengths != sorted(lengths)  # else every epoch ends with the longest rows


def test_a_halved_step_holds_the_same_rows():
    """Its batches are half as large, of the same lengths, and a batch of one row stays."""
    step = (shapes.Batch((3, 1, 4), 16), shapes.Batch((2,), 8))

    halved = shapes.halve(step)

    assert halved == (
        shapes.Batch((3,), 16),
        shapes.Batch((1, 4), 16),
        shapes.Batch((2,), 8),
    )


def test_a_shape_holds_every_batch_of_its_length():
    """As many rows, tokens and labels as the fullest has."""
    rows = [vars(make_example(0, count)) for count in TOKENS]
    planned = shapes.plan_steps(TOKENS, make_settings(), 18)

    found = shapes.find_shapes(planned, rows)

    for batch in itertools.chain(*planned):
        shape = found[batch.length]
        labels = sum(len(rows[row]["input_ids"]) - 2 for row in batch.rows)
        assert len(batch.rows) <= shape.rows
        assert shape.tokens == batch.length
        assert labels <= shape.slots


def test_a_placed_row_keeps_its_labels():
    """Each label is beside the position of the token before it; the first token is never one."""
    rows = [
        {"input_ids": [5, 6, 7], "labels": [5, IGNORED, 7]},
        {"input_ids": [8, 9], "labels": [IGNORED, 9]},
    ]

    batch = place(rows, size=3, tokens=4, slots=5)

    assert batch["input_ids"].tolist() == [[5, 6, 7, 0], [8, 9, 0, 0], [0, 0, 0, 0]]
    assert batch["positions"].tolist() == [1, 4, 0, 0, 0]
    assert batch["labels"].tolist() == [7, 9, IGNORED, IGNORED, IGNORED]
    assert batch["input_ids"].dtype == torch.long
