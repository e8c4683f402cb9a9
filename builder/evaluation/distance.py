"""How far a file is from what the trained model and its base said at the fixed texts: measured once a file, judged as often as asked."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from builder import files, progress
from builder.evaluation import reference
from builder.evaluation.reference import Array, Reference
from builder.llama import Model

SCHEMA = 1


@dataclass(frozen=True)
class Distance:
    """Of one text of T tokens, at each of its positions.

    Attributes:
        kl: KL divergence from the trained model in nats, shape (T,).
        base_kl: Likewise from the base.
        agreed: Whether its likeliest next token is the trained model's, shape (T,).
        losses: Of each following token in nats, shape (T - 1,).

    """

    kl: Array
    base_kl: Array
    agreed: Array
    losses: Array


def measure(model: Model, said: Reference) -> list[Distance]:
    """Measure a file's distance at every text."""
    found = []
    for number, (text, persona, base) in enumerate(
        zip(said.texts, said.persona, said.base, strict=True)
    ):
        progress.report("fidelity", number, len(said.texts), "texts")
        log_probs = model.next_log_probs(text.ids)  # (T, V)
        losses = -log_probs[np.arange(len(text.ids) - 1), text.ids[1:]]
        agreed = persona.ids[:, 0] == log_probs.argmax(1)
        found.append(
            Distance(
                reference.divergence(persona, log_probs),
                reference.divergence(base, log_probs),
                agreed,
                losses,
            )
        )
    return found


def measure_once(model: Model, said: Reference, kept: Path, owner: str) -> list[Distance]:
    """Measure a file's distance, or read what was measured before.

    Args:
        model: The file, loaded.
        said: What it is compared with.
        kept: Where the figures are kept.
        owner: Names the content of both and what runs the file; figures of another are measured again.

    """
    values = files.read_json(kept)
    if isinstance(values, dict) and (values.get("schema"), values.get("owner")) == (SCHEMA, owner):
        return [
            Distance(**{name: np.array(numbers) for name, numbers in text.items()})
            for text in values["texts"]
        ]
    found = measure(model, said)
    with suppress(OSError):  # without room it is measured again, no more
        files.write_json(
            kept,
            {"schema": SCHEMA, "owner": owner, "texts": [_as_json(distance) for distance in found]},
        )
    return found


def _as_json(distance: Distance) -> dict[str, Any]:
    return {name: values.tolist() for name, values in vars(distance).items()}
