"""The log-probabilities of the in-memory model and its base at the reference texts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save_file

from builder import progress
from builder.errors import NotBuiltError
from builder.evaluation.texts import Text

LIKELIEST = 40
Array = np.ndarray[Any, Any]
LogProbs = Callable[[list[list[int]]], Iterable[Array]]


@dataclass(frozen=True)
class Distribution:
    """The K likeliest next tokens at N positions: ids and log-probabilities, shape (N, K)."""

    ids: Array
    log_probs: Array


@dataclass(frozen=True)
class Reference:
    """Texts, with the distributions of the in-memory model and its base after each token."""

    texts: list[Text]
    persona: list[Distribution]
    base: list[Distribution]
    base_label_log_probs: list[Array]
    """The base's log-probability of each next token, shape (T - 1,)."""


def record(texts: list[Text], persona: LogProbs, base: LogProbs, out: Path) -> None:
    """Write the log-probabilities of the in-memory model and its base at the texts.

    Args:
        texts: The texts.
        persona: Computes the adapted model's log-probabilities after each token of each text,
            shape (T, V).
        base: Computes those of the base alone.
        out: A safetensors file to write.

    """
    arrays: dict[str, Array] = {}
    for number, text in enumerate(texts):
        arrays[f"{number}.ids"], arrays[f"{number}.labels"] = (
            np.array(text.ids, np.int32),
            np.array(text.labels, np.int32),
        )
    for who, model in (("persona", persona), ("base", base)):
        words = f"reads texts as the {who}"
        progress.report(words, 0, len(texts), "texts")
        for number, (text, log_probs) in enumerate(
            zip(texts, model([text.ids for text in texts]), strict=True)
        ):
            progress.report(words, number, len(texts), "texts")
            likeliest = _find_likeliest(log_probs)  # (T, K)
            arrays[f"{number}.{who}_ids"] = likeliest.astype(np.int32)
            arrays[f"{number}.{who}_log_probs"] = np.take_along_axis(
                log_probs, likeliest, 1
            ).astype(np.float32)
            if who == "base":
                arrays[f"{number}.base_labels"] = log_probs[
                    np.arange(len(text.ids) - 1), text.ids[1:]
                ].astype(np.float32)
    save_file(arrays, out, metadata={"kinds": json.dumps([text.kind for text in texts])})


def _find_likeliest(log_probs: Array) -> Array:
    # Sorting the whole vocabulary would take as long as the models' forward passes.
    found = np.sort(
        np.argpartition(log_probs, -LIKELIEST, axis=1)[:, -LIKELIEST:], axis=1
    )  # (T, K)
    order = np.argsort(-np.take_along_axis(log_probs, found, 1), axis=1, kind="stable")
    likeliest: Array = np.take_along_axis(found, order, 1)
    return likeliest


def read(path: Path) -> Reference:
    """Read what `record` wrote.

    Raises:
        NotBuiltError: It is damaged.

    """
    try:
        with safe_open(path, framework="np") as file:
            kinds = json.loads(file.metadata()["kinds"])
        return _list_texts(kinds, load_file(path))
    except (KeyError, TypeError, ValueError, SafetensorError):
        raise NotBuiltError(path, is_there=True) from None


def _list_texts(kinds: list[str], arrays: dict[str, Array]) -> Reference:
    numbers = range(len(kinds))
    return Reference(
        [
            Text(kind, arrays[f"{i}.ids"].tolist(), arrays[f"{i}.labels"].tolist())
            for i, kind in enumerate(kinds)
        ],
        [
            Distribution(arrays[f"{i}.persona_ids"], arrays[f"{i}.persona_log_probs"])
            for i in numbers
        ],
        [Distribution(arrays[f"{i}.base_ids"], arrays[f"{i}.base_log_probs"]) for i in numbers],
        [arrays[f"{i}.base_labels"] for i in numbers],
    )
