"""Values cut short for a reason: of long ones the part where they first differ."""

from __future__ import annotations

import json
from typing import Any

# What is shown of a setting without a value.
NOT_SET = "not set"
# What is shown of a text, and how much of that stands before the first difference.
SHOWN_CHARACTERS, SHOWN_BEFORE = 40, 12


def shorten(*values: Any) -> list[str]:
    """Write values short enough for a reason, so that different ones look different."""
    as_json = [_write(value) for value in values]
    plain = [v if isinstance(v, str) else text for v, text in zip(values, as_json, strict=True)]
    texts = [" ".join(text.split()) for text in plain]
    is_plain = len(set(texts)) == len(values)
    if not is_plain:  # they differ in blanks or in type alone, which only JSON shows
        texts = as_json
    if all(len(text) <= SHOWN_CHARACTERS for text in texts):
        return texts
    start = _find_start(texts) if len(texts) > 1 else 0
    stop = start + SHOWN_CHARACTERS
    cut = [f"{'…' * (start > 0)}{t[start:stop]}{'…' * (len(t) > stop)}" for t in texts]
    are_quoted = [is_plain and isinstance(value, str) for value in values]
    return [f'"{t}"' if quoted else t for t, quoted in zip(cut, are_quoted, strict=True)]


def _write(value: Any) -> str:
    """Write a value as JSON, but for those that are not set: they are told so, or left out."""
    return NOT_SET if value is None else json.dumps(_leave_out_unset(value), ensure_ascii=False)


def _leave_out_unset(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _leave_out_unset(one) for key, one in value.items() if one is not None}
    return [_leave_out_unset(one) for one in value] if isinstance(value, list | tuple) else value


def _find_start(texts: list[str]) -> int:
    """Find where to begin, a little before the first difference, at a word where one begins."""
    columns = enumerate(zip(*texts, strict=False))
    differ_at = next((at for at, column in columns if len(set(column)) > 1), min(map(len, texts)))
    start = max(0, differ_at - SHOWN_BEFORE)
    return texts[0].find(" ", start, differ_at) + 1 or start if start else 0
