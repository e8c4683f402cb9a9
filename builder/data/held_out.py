"""Chooses the rows that are held out, whose loss is compared with the base's."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from builder.data.rows import Row

# By default, rows are held out from this number of own rows, or of rows of packs.
FROM_ROWS, SHARE = 100, 0.1
BUCKETS = 1 << 32


def choose(rows: Sequence[Row], share: float | None) -> list[bool]:
    """Say for each row whether it is held out.

    A share in the manifest applies to all rows. Without one, the persona's own rows and those of
    packs are counted separately, so that a few own rows beside a pack are all trained on.

    Args:
        rows: The rows of the files and of the packs.
        share: The value of `data.held_out`.

    """
    from_packs = sum(row.pack is not None for row in rows)
    counts = {False: len(rows) - from_packs, True: from_packs}
    shares = {
        is_of_pack: SHARE if count >= FROM_ROWS else 0.0 for is_of_pack, count in counts.items()
    }
    return [
        is_held_out(row, shares[row.pack is not None] if share is None else share) for row in rows
    ]


def is_held_out(row: Row, share: float) -> bool:
    """Decide by the hash of the question, so that adding a row does not change the others."""
    bucket = int.from_bytes(hashlib.sha256(row.question.encode()).digest()[:4])
    return bucket < share * BUCKETS
