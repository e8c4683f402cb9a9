"""Shortens values for a reason; long ones to the part where they first differ."""

from __future__ import annotations

import json
from typing import Any

# Shown for a setting that has no value.
NOT_SET = "not set"
# How much of a text is shown, and how much of that comes before the first difference.
SHOWN_CHARACTERS, SHOWN_BEFORE = 40, 12


def shorten(*values: Any) -> list[str]:
    """Shorten values for a reason, so that different values look different."""
    as_json = [_write(value) for value in values]
    plain = [v if isinstance(v, str) else text for v, text in zip(values, as_json, strict=True)]
    texts = [" ".join(text.split()) for text in plain]
    is_plain = len(set(texts)) == len(values)
    if not is_plain:  # they differ only in white space or type, which JSON shows
        texts = as_json
    if all(len(text) <= SHOWN_CHARACTERS for text in texts):
        return texts
    start = _find_start(texts) if len(texts) > 1 else 0
    stop = start + SHOWN_CHARACTERS
    cut = [f"{'…' * (start > 0)}{t[start:stop]}{'…' * (len(t) > stop)}" for t in texts]
    are_quoted = [is_plain and isinstance(value, str) for value in values]
    return [f'"{t}"' if quoted else t for t, quoted in zip(cut, are_quoted, strict=True)]


def _write(value: Any) -> str:
    """Write a value as JSON; a value that is not set is named so, and left out of tables."""
    return NOT_SET if value is None else json.dumps(_leave_out_unset(value), ensure_ascii=False)


def _leave_out_unset(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _leave_out_unset(one) for key, one in value.items() if one is not None}
    return [_leave_out_unset(one) for one in value] if isinstance(value, list | tuple) else value


def _find_start(texts: list[str]) -> int:
    """Find where to begin: a little before the first difference, at the start of a word if any."""
    columns = enumerate(zip(*texts, strict=False))
    differ_at = next((at for at, column in columns if len(set(column)) > 1), min(map(len, texts)))
    start = max(0, differ_at - SHOWN_BEFORE)
    return texts[0].find(" ", start, differ_at) + 1 or start if start else 0
