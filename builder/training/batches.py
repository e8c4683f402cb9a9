"""Collates rows into a batch: packed end to end, or padded."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from builder.data.template import IGNORED

TokenRow = dict[str, list[int]]


def pack(rows: list[TokenRow]) -> dict[str, Tensor]:
    """Pack rows end to end into one sequence, in which no row attends to another.

    Returns:
        `input_ids`, `labels` and `position_ids`, shape (1, T), and a block-diagonal causal
        `attention_mask`, shape (1, 1, T, T), float32. The first token of a row is never a label.

    """
    ids = torch.tensor([token for row in rows for token in row["input_ids"]])
    labels = torch.tensor([label for row in rows for label in [IGNORED, *row["labels"][1:]]])
    positions = torch.cat([torch.arange(len(row["input_ids"])) for row in rows])
    owner = torch.repeat_interleave(
        torch.arange(len(rows)), torch.tensor([len(row["input_ids"]) for row in rows])
    )
    allowed = (owner[:, None] == owner[None, :]) & torch.ones(
        len(ids), len(ids), dtype=torch.bool
    ).tril()
    mask = torch.zeros(len(ids), len(ids)).masked_fill(~allowed, torch.finfo(torch.float32).min)
    return {
        "input_ids": ids[None],
        "labels": labels[None],
        "position_ids": positions[None],
        "attention_mask": mask[None, None],
    }


def pad(rows: list[TokenRow]) -> dict[str, Tensor]:
    """Pad rows on the right to one length; causal layers never see the padding, and need no mask.

    Returns:
        `input_ids` and `labels`, shape (B, T).

    """
    ids, labels = ([torch.tensor(row[name]) for row in rows] for name in ("input_ids", "labels"))
    return {
        "input_ids": pad_sequence(ids, batch_first=True),
        "labels": pad_sequence(labels, batch_first=True, padding_value=IGNORED),
    }


def place(rows: list[TokenRow], *, size: int, tokens: int, slots: int) -> dict[str, Tensor]:
    """Put rows into a batch of a fixed shape, with the labels listed by position.

    Args:
        rows: At most `size` rows of at most `tokens` tokens, with at most `slots` labels.
        size: Rows of the shape (B).
        tokens: Tokens of each row (T).
        slots: Room for labels (S).

    Returns:
        `input_ids`, shape (B, T); `positions`, shape (S,), the index of the token before each
        label in the flattened ids; `labels`, shape (S,), -100 in unused slots.

    """
    ids = torch.zeros(size, tokens, dtype=torch.long)
    positions = torch.zeros(slots, dtype=torch.long)
    labels = torch.full((slots,), IGNORED, dtype=torch.long)
    used = 0
    for at, row in enumerate(rows):
        ids[at, : len(row["input_ids"])] = torch.tensor(row["input_ids"])
        following = torch.tensor(row["labels"][1:])
        labelled = (following != IGNORED).nonzero()[:, 0]
        end = used + len(labelled)
        positions[used:end] = at * tokens + labelled
        labels[used:end] = following[labelled]
        used = end
    return {"input_ids": ids, "positions": positions, "labels": labels}
