"""Whether a base is whole: its weights, tokenizer and chat template, before any is used."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable
from pathlib import Path

from builder import files
from builder.bases import chat_template, integrity
from builder.bases.facts import Facts
from builder.sandbox import LimitError

SHOWN_CHARACTERS = 120
# As transformers names the weights that it loads, and the list of their shards.
WEIGHTS, INDEX = "model.safetensors", integrity.INDEX
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


def find_no_weights(names: Collection[str]) -> str | None:
    """Say as `find_broken_json` that there are no weights that can be loaded.

    Args:
        names: All its files; none where they are not known.

    """
    if not names or WEIGHTS in names or INDEX in names:
        return None
    shards = sorted(name for name in names if name.endswith(".safetensors"))
    found = f"holds {shards[0]} without {INDEX}" if shards else "holds no weights"
    return f"{found}, expected {WEIGHTS}, or shards with their index"


def find_gap(folder: Path, names: Collection[str]) -> str | None:
    """Say as `find_broken_json` which shards are missing that the index names.

    Args:
        folder: Holds the index, where there is one.
        names: All its files; none where they are not known.

    """
    if not names or not (folder / INDEX).is_file():
        return None
    shards = set(json.loads((folder / INDEX).read_text("utf-8"))["weight_map"].values())
    missing = sorted(shard for shard in shards if shard not in names)
    if not missing:
        return None
    return f"lacks {', '.join(missing)}, expected all {len(shards)} shards of {INDEX}"


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
