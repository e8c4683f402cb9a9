"""The reference texts, at which the file is compared with the in-memory model and its base."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from builder.data import dataset
from builder.data.dataset import Example
from builder.data.template import IGNORED, Template

MAX_TEXT_TOKENS = 128
# How many held-out rows, and how many trained rows, are added to the fixed texts.
ROWS = 16
# The kinds of trained texts: of the persona's own rows, and of rows of packs.
OWN, OF_PACKS = "own", "of packs"


@dataclass(frozen=True)
class Text:
    """A text of T tokens: its kind, its ids, and the labels of its replies."""

    kind: str
    """`neutral`, `general`, `held out`, or for trained texts `own` or `of packs`."""
    ids: list[int]
    labels: list[int]

    @property
    def is_trained(self) -> bool:
        """Whether the text was trained on."""
        return self.kind in (OWN, OF_PACKS)

    @property
    def is_whole(self) -> bool:
        """Whether nothing was cut off, so that the last id is the end-of-turn token."""
        return len(self.ids) < MAX_TEXT_TOKENS


def fingerprint() -> str:
    """Hash the fixed texts, so that a stage can declare them as an input."""
    return hashlib.sha256(_fixed_texts().read_bytes()).hexdigest()[:12]


def choose_texts(rows: Path, template: Template) -> list[Text]:
    """Choose neutral prose, general answers, and some of the persona's trained and held-out rows.

    Args:
        rows: The output of the data stage.
        template: Encodes the fixed texts.

    """
    texts = []
    for line in _fixed_texts().read_text("utf-8").splitlines():
        value = json.loads(line)
        if "neutral" in value:
            ids = template.tokenize(value["neutral"])
            texts.append(_cut("neutral", ids, ids))
        else:
            coded = template.encode(
                [
                    {"role": "user", "content": value["ask"]},
                    {"role": "assistant", "content": value["answer"]},
                ]
            )
            texts.append(_cut("general", coded.ids, coded.labels()))
    held_out = dataset.read_examples(rows / dataset.HELD_OUT)[:ROWS]
    texts += [_cut("held out", example.input_ids, example.labels) for example in held_out]
    return texts + _choose_trained(dataset.read_examples(rows / dataset.TRAIN))


def _choose_trained(examples: list[Example]) -> list[Text]:
    """Choose trained conversations, spread over the data, whose similar rows often come together.

    The persona's own rows come before those of packs.
    """
    own = [one for one in examples if one.pack is None]
    of_packs = [one for one in examples if one.pack is not None]
    chosen = _spread(OWN, own, ROWS)
    return chosen + _spread(OF_PACKS, of_packs, ROWS - len(chosen))


def _spread(kind: str, examples: list[Example], most: int) -> list[Text]:
    """Take at most so many conversations, evenly spaced.

    If a row is trained with and without the system text, the two forms alternate. Only whole texts
    are taken, if there are any: a text that is cut has no end of turn.
    """
    texts = [(example, _cut(kind, example.input_ids, example.labels)) for example in examples]
    whole = [pair for pair in texts if pair[1].is_whole]
    rows = dict[str, dict[bool, Text]]()
    for example, text in whole or texts:
        forms = rows.setdefault(repr((example.conversation, example.tools)), {})
        forms[example.has_system] = text
    spread = list(rows.values())[:: -(-len(rows) // most)] if rows and most else []
    return [
        form.get(number % 2 == 0, next(iter(form.values()))) for number, form in enumerate(spread)
    ]


def reply_positions(text: Text) -> list[int]:
    """List the positions whose next token belongs to a reply."""
    return [at - 1 for at in range(1, len(text.ids)) if text.labels[at] != IGNORED]


def _cut(kind: str, ids: list[int], labels: list[int]) -> Text:
    return Text(kind, ids[:MAX_TEXT_TOKENS], labels[:MAX_TEXT_TOKENS])


def _fixed_texts() -> Traversable:
    return resources.files("builder.evaluation").joinpath("texts.jsonl")
