"""What the trained model, and its base, said at fixed texts: kept with the adapter, to hold the file against."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from builder.data import dataset
from builder.data.template import IGNORED, Template

LIKELIEST = 40
MAX_TEXT_TOKENS = 128
# Of the persona's own rows, as many held out and as many trained on beside the fixed texts.
OWN_ROWS = 16
Array = np.ndarray[Any, Any]
LogProbs = Callable[[list[list[int]]], Iterable[Array]]


@dataclass(frozen=True)
class Text:
    """One text as ids, both of length T: what kind it is, and which ids are a reply's."""

    kind: str
    """`neutral`, `general`, `held out` or `trained`."""
    ids: list[int]
    labels: list[int]

    @property
    def is_whole(self) -> bool:
        """Whether nothing of it was cut off: the last id of a whole conversation ends it."""
        return len(self.ids) < MAX_TEXT_TOKENS


@dataclass(frozen=True)
class Distribution:
    """The likeliest next tokens at each of N positions: ids and log-probabilities, shape (N, K)."""

    ids: Array
    log_probs: Array


@dataclass(frozen=True)
class Reference:
    """Texts, and what the live model and its base said after each of their tokens."""

    texts: list[Text]
    persona: list[Distribution]
    base: list[Distribution]
    base_label_log_probs: list[Array]
    """Of each following token under the base, shape (T - 1,)."""


def choose_texts(rows: Path, template: Template) -> list[Text]:
    """Choose the texts: neutral prose, general answers, and of the persona's rows some held out and some trained on."""
    texts = []
    for line in (
        resources.files("builder.evaluation")
        .joinpath("texts.jsonl")
        .read_text("utf-8")
        .splitlines()
    ):
        value = json.loads(line)
        if "neutral" in value:
            ids = template.tokenize(value["neutral"])[:MAX_TEXT_TOKENS]
            texts.append(Text("neutral", ids, ids))
        else:
            coded = template.encode(
                [
                    {"role": "user", "content": value["ask"]},
                    {"role": "assistant", "content": value["answer"]},
                ]
            )
            texts.append(
                Text("general", coded.ids[:MAX_TEXT_TOKENS], coded.labels()[:MAX_TEXT_TOKENS])
            )
    held, trained = (
        _read_rows(rows / dataset.HELD_OUT, "held out"),
        _read_rows(rows / dataset.TRAIN, "trained"),
    )
    trained = [text for text in trained if text.is_whole] or trained
    return (
        texts + held[:OWN_ROWS] + trained[:: -(-len(trained) // OWN_ROWS)]
    )  # from all of its data, whose rows of a kind stand together


def _read_rows(path: Path, kind: str) -> list[Text]:
    examples = dataset.read_examples(path)
    return [
        Text(kind, one.input_ids[:MAX_TEXT_TOKENS], one.labels[:MAX_TEXT_TOKENS])
        for one in examples
    ]


def record(texts: list[Text], persona: LogProbs, base: LogProbs, out: Path) -> None:
    """Write what a live model says.

    Args:
        texts: The texts.
        persona: Gives the log-probabilities after each token of each text, shape (T, V), of the adapted model.
        base: Likewise, of the base alone.
        out: A safetensors file to write.

    """
    arrays: dict[str, Array] = {}
    for number, text in enumerate(texts):
        arrays[f"{number}.ids"], arrays[f"{number}.labels"] = (
            np.array(text.ids, np.int32),
            np.array(text.labels, np.int32),
        )
    for who, model in (("persona", persona), ("base", base)):
        for number, (text, log_probs) in enumerate(
            zip(texts, model([text.ids for text in texts]), strict=True)
        ):
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
    # Sorting all of a vocabulary took as long as the models' own passes.
    found = np.sort(
        np.argpartition(log_probs, -LIKELIEST, axis=1)[:, -LIKELIEST:], axis=1
    )  # (T, K)
    order = np.argsort(-np.take_along_axis(log_probs, found, 1), axis=1, kind="stable")
    likeliest: Array = np.take_along_axis(found, order, 1)
    return likeliest


def read(path: Path) -> Reference:
    """Read what `record` wrote."""
    from safetensors import safe_open  # noqa: PLC0415 — only its metadata

    with safe_open(path, framework="np") as file:
        kinds = json.loads(file.metadata()["kinds"])
    arrays = load_file(path)
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


def divergence(reference: Distribution, log_probs: Array) -> Array:
    """Compute the KL divergence from a reference at each position, in nats.

    The likeliest tokens are compared one by one, all others as one rest: a lower bound of the whole.

    Args:
        reference: Shape (T, K).
        log_probs: Of the model that is judged, shape (T, V).

    """
    p = np.exp(reference.log_probs.astype(np.float64))  # (T, K)
    q_log = np.take_along_axis(log_probs, reference.ids.astype(np.int64), 1).astype(np.float64)
    rest_p = np.clip(1 - p.sum(1), 1e-9, None)
    rest_q = np.clip(1 - np.exp(q_log).sum(1), 1e-9, None)
    kl: Array = np.maximum(
        (p * (reference.log_probs - q_log)).sum(1) + rest_p * np.log(rest_p / rest_q), 0.0
    )
    return kl


def reply_positions(text: Text) -> Array:
    """Give the positions after which a reply's token follows, shape (N,)."""
    return np.array(
        [position - 1 for position in range(1, len(text.ids)) if text.labels[position] != IGNORED],
        np.int64,
    )
