"""Measures how a file differs from the in-memory model and the base, at the reference texts."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from builder import files, progress
from builder.evaluation.reference import Array, Distribution, Reference
from builder.llama import Model

SCHEMA = 2


@dataclass(frozen=True)
class Distance:
    """The differences at each position of a text of T tokens.

    Attributes:
        kl: KL divergence from the in-memory model in nats, shape (T,).
        base_kl: KL divergence from the base in nats, shape (T,).
        agreed: Whether the likeliest next token is the in-memory model's, shape (T,).
        losses: Loss of each next token in nats, shape (T - 1,).
        expected: Whether each next token is the likeliest one, shape (T - 1,).

    """

    kl: Array
    base_kl: Array
    agreed: Array
    losses: Array
    expected: Array


def measure(model: Model, reference: Reference) -> list[Distance]:
    """Measure the differences at every text."""
    distances = []
    for number, (text, persona, base) in enumerate(
        zip(reference.texts, reference.persona, reference.base, strict=True)
    ):
        progress.report("compares with the trained model", number, len(reference.texts), "texts")
        log_probs = model.next_log_probs(text.ids)  # (T, V)
        losses = -log_probs[np.arange(len(text.ids) - 1), text.ids[1:]]
        likeliest = log_probs.argmax(1)  # (T,)
        distances.append(
            Distance(
                divergence(persona, log_probs),
                divergence(base, log_probs),
                persona.ids[:, 0] == likeliest,
                losses,
                likeliest[:-1] == text.ids[1:],
            )
        )
    return distances


def measure_once(model: Model, reference: Reference, cache: Path, owner: str) -> list[Distance]:
    """Measure the differences, or read them from the cache.

    Args:
        model: The file, loaded.
        reference: The recordings to compare with.
        cache: The JSON file of the cache.
        owner: Identifies the content of both and llama.cpp; a cache of another owner is not used.

    """
    values = files.read_json(cache)
    if isinstance(values, dict) and (values.get("schema"), values.get("owner")) == (SCHEMA, owner):
        with suppress(AttributeError, KeyError, TypeError, ValueError):  # it is damaged
            return [
                Distance(**{name: np.array(numbers) for name, numbers in text.items()})
                for text in values["texts"]
            ]
    distances = measure(model, reference)
    texts = [_as_json(distance) for distance in distances]
    files.write_cached(cache, {"schema": SCHEMA, "owner": owner, "texts": texts})
    return distances


def divergence(reference: Distribution, log_probs: Array) -> Array:
    """Compute the KL divergence from a reference at each position, in nats.

    The likeliest tokens are compared one by one, and all others as one: this is a lower bound.

    Args:
        reference: The reference, shape (T, K).
        log_probs: The log-probabilities to compare, shape (T, V).

    """
    p = np.exp(reference.log_probs.astype(np.float64))  # (T, K)
    q_log = np.take_along_axis(log_probs, reference.ids.astype(np.int64), 1).astype(np.float64)
    rest_p = np.clip(1 - p.sum(1), 1e-9, None)
    rest_q = np.clip(1 - np.exp(q_log).sum(1), 1e-9, None)
    kl: Array = np.maximum(
        (p * (reference.log_probs - q_log)).sum(1) + rest_p * np.log(rest_p / rest_q), 0.0
    )
    return kl


def _as_json(distance: Distance) -> dict[str, Any]:
    return {name: values.tolist() for name, values in vars(distance).items()}
