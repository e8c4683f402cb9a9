"""Saves a conversation as a row that can be trained on."""

from __future__ import annotations

import json
from pathlib import Path

from builder import files
from builder.data import layouts
from builder.data.template import Message
from builder.errors import PersonaError

ENDING = ".jsonl"


def save(path: Path, turns: list[Message], system: str | None) -> int:
    """Add a conversation to a file of rows.

    Args:
        path: The file, to which the row is appended.
        turns: The messages.
        system: The system text of the row, or None.

    Returns:
        The number of the row's line.

    Raises:
        PersonaError: There are no messages, the file has another format, or it cannot be written.

    """
    if path.suffix.lower() != ENDING:
        msg = f"{str(path)!r} names no file of rows, expected a name that ends with {ENDING}"
        raise PersonaError(msg)
    _check_file(files.expand_home(path))
    messages = [dict(turn) for turn in turns]
    if not messages:
        raise PersonaError("nothing was said yet, expected a question and its answer")
    if system:
        messages.insert(0, {"role": "system", "content": system})
    try:
        layouts.check(messages)
        return _append(
            files.expand_home(path), json.dumps({"messages": messages}, ensure_ascii=False)
        )
    except ValueError as error:
        raise PersonaError(f"the conversation is not a row: {error}") from None
    except OSError as error:
        raise PersonaError(f"{path}: {error.strerror}, expected to write it") from None


def _check_file(path: Path) -> None:
    """Check that what is there is a regular file: a device may have no end."""
    try:
        files.check_file(path)
    except FileNotFoundError:
        return
    except ValueError as error:
        raise PersonaError(str(error)) from None


def _append(path: Path, row: str) -> int:
    """Append a line; return its number."""
    with path.open("a+b") as file:
        file.seek(0)
        held = file.read()
        is_cut = bool(held) and not held.endswith(b"\n")
        file.write(b"\n" * is_cut + row.encode() + b"\n")
    return held.count(b"\n") + is_cut + 1
