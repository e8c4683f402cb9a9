"""Whether a base is whole: its weights, tokenizer and chat template, before any is used."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from builder import files
from builder.bases import chat_template
from builder.bases.facts import Facts
from builder.sandbox import LimitError

SHOWN_CHARACTERS = 120
# Conversations that every chat template is rendered with: questions, answers, and a system text.
PROBES = tuple(
    [{"role": role, "content": f"{role} {at}"} for at, role in enumerate(roles)]
    for roles in (
        ("user",),
        ("user", "assistant"),
        ("user", "assistant", "user"),
        ("user", "assistant", "user", "assistant"),
        ("system", "user"),
        ("system", "user", "assistant"),
    )
)


def find_broken_json(folder: Path, names: Iterable[str]) -> str | None:
    """Read the small files that are there.

    Returns:
        What is wrong with the first, and what was expected; None where nothing is.

    """
    for name in names:
        if (folder / name).exists() and not isinstance(files.read_json(folder / name), dict):
            return f"holds a {name} that cannot be read, expected a JSON object"
    return None


def find_broken_weights(folder: Path, names: Iterable[str]) -> str | None:
    """Read the headers of weights that are here already: a shard that was cut short has none.

    Args:
        folder: Holds the weights.
        names: Its files.

    Returns:
        As `find_broken_json`.

    """
    shards = sorted(name for name in names if name.endswith(".safetensors"))
    shards = [name for name in shards if os.path.lexists(folder / name)]
    if not shards:
        return None
    from safetensors import SafetensorError, safe_open  # noqa: PLC0415 — imports numpy

    for name in shards:
        try:
            files.check_file(folder / name)
            with safe_open(folder / name, framework="np"):
                pass
        except (SafetensorError, OSError, ValueError) as error:
            reason = str(error)[:SHOWN_CHARACTERS]
            return f"holds a {name} that cannot be read ({reason}), expected it whole"
    return None


def find_broken_tokenizer(folder: Path) -> str | None:
    """Load tokenizer.json where there is one, and say as `find_broken_json` what is wrong."""
    path = folder / "tokenizer.json"
    if not path.is_file():
        return None
    from tokenizers import Tokenizer  # noqa: PLC0415 — takes a tenth of a second

    try:
        Tokenizer.from_file(str(path))
    except Exception as error:  # noqa: BLE001 — its library raises no other class
        reason = str(error)[:SHOWN_CHARACTERS]
        return f"holds a tokenizer.json that cannot be read ({reason}), expected it whole"
    return None


def find_endless_template(facts: Facts) -> str | None:
    """Render a chat template under limits, and say as `find_broken_json` what is wrong."""
    if facts.chat_template is None:
        return None
    try:
        chat_template.check_limits(facts.chat_template, PROBES, facts.tokens)
    except LimitError as error:
        return f"has a chat template that {error.message}, expected one of a few milliseconds"
    return None
