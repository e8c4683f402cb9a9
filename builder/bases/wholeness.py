"""Checks that a base is complete: its weights, tokenizer and chat template."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from builder import files
from builder.bases import chat_template
from builder.bases.facts import Facts
from builder.bases.family import look_up
from builder.sandbox import LimitError

SHOWN_CHARACTERS = 120
# transformers' names of the weights and of the list of their shards.
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
# How far the number of tokens may be from vocab_size. Embeddings are often padded, and may lack a
# token for images (Gemma 3: 262145 tokens, vocab_size 262144).
MOST_TOKENS_BEYOND, LEAST_SHARE_OF_ROWS = 64, 0.5
# Conversations for checking the limits of a chat template.
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
    """Check that the small files can be read.

    Returns:
        What is wrong with the first broken one, and what was expected; or None.

    """
    for name in names:
        if (folder / name).exists() and not isinstance(files.read_json(folder / name), dict):
            return f"has a {name} that cannot be read, expected a JSON object"
    return None


def find_no_weights(names: Collection[str]) -> str | None:
    """Say, like `find_broken_json`, that there are no weights that can be loaded.

    Args:
        names: The names of all its files; empty if they are not known.

    """
    if not names or WEIGHTS in names or INDEX in names:
        return None
    shards = sorted(name for name in names if name.endswith(".safetensors"))
    found = f"contains {shards[0]} without {INDEX}" if shards else "has no weights"
    return f"{found}, expected {WEIGHTS}, or shards with their index"


def find_gap(folder: Path, names: Collection[str]) -> str | None:
    """Say, like `find_broken_json`, which shards of the index are missing.

    Args:
        folder: The folder of the index, if there is one.
        names: The names of all its files; empty if they are not known.

    """
    if not names or not (folder / INDEX).is_file():
        return None
    shards = set(json.loads((folder / INDEX).read_text("utf-8"))["weight_map"].values())
    missing = sorted(shard for shard in shards if shard not in names)
    if not missing:
        return None
    return f"lacks {', '.join(missing)}, expected all {len(shards)} shards of {INDEX}"


def find_broken_weights(folder: Path, names: Iterable[str]) -> str | None:
    """Check the headers of the weights that are present: a shard that was cut short is refused.

    Args:
        folder: The folder of the weights.
        names: The names of its files.

    Returns:
            As for `find_broken_json`.

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
            return f"has a {name} that cannot be read ({reason}), expected it whole"
    return None


def find_broken_tokenizer(folder: Path) -> str | None:
    """Load tokenizer.json, if there is one, and say like `find_broken_json` what is wrong."""
    path = folder / "tokenizer.json"
    if not path.is_file():
        return None
    from tokenizers import Tokenizer  # noqa: PLC0415 — takes a tenth of a second

    try:
        Tokenizer.from_file(str(path))
    except Exception as error:  # noqa: BLE001 — its library raises only this class
        reason = str(error)[:SHOWN_CHARACTERS]
        return f"has a tokenizer.json that cannot be read ({reason}), expected it whole"
    return None


def find_endless_template(facts: Facts) -> str | None:
    """Render a chat template under limits, and say like `find_broken_json` what is wrong."""
    if facts.chat_template is None:
        return None
    try:
        chat_template.check_limits(facts.chat_template, PROBES, facts.tokens)
    except LimitError as error:
        return f"has a chat template that {error.message}, expected one of a few milliseconds"
    return None


def find_other_vocabulary(facts: Facts) -> str | None:
    """Say, like `find_broken_json`, that the tokenizer is of another base."""
    ids = set(facts.vocabulary.values())
    ends = _list_end_ids(facts.config)
    if ids and ends and not ids.intersection(ends):
        found = f"has a tokenizer without the token {ends[0]}, which config.json ends a text with"
        return f"{found}, expected the tokenizer that it was trained with"
    rows = facts.config.get("vocab_size") or look_up(facts.config, "text_config.vocab_size")
    tokens = len(facts.vocabulary)
    if not isinstance(rows, int) or not tokens:
        return None
    if LEAST_SHARE_OF_ROWS * rows <= tokens <= rows + MOST_TOKENS_BEYOND:
        return None
    found = f"has a tokenizer of {tokens} tokens and an embedding of {rows} rows"
    return f"{found}, expected the tokenizer that it was trained with"


def find_no_eos(facts: Facts) -> str | None:
    """Say, like `find_broken_json`, that there is no EOS token."""
    eos = facts.tokens.get("eos_token")
    if not eos:
        return "names no EOS token in tokenizer_config.json, expected one: it would never stop"
    if facts.vocabulary and eos not in facts.vocabulary:
        return f"names the EOS token {eos!r}, which its vocabulary does not have, expected it there"
    return None


def _list_end_ids(config: Mapping[str, Any]) -> list[int]:
    """List the ids of the EOS tokens in config.json."""
    tables = (config, config.get("text_config") or {})
    found = [table.get("eos_token_id") for table in tables]
    every = [entry for value in found for entry in (value if isinstance(value, list) else [value])]
    return [entry for entry in every if isinstance(entry, int)]
