"""The reference texts, at which the file is compared with the trained model and its base."""

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
# As many rows that are held out, and as many that are trained on, beside the fixed texts.
ROWS = 16


@dataclass(frozen=True)
class Text:
    """One text as ids, both of length T: what kind it is, and which ids are a reply's."""

    kind: str
    """`neutral`, `general`, `held out` or `trained`."""
    ids: list[int]
    labels: list[int]

    @property
    def is_whole(self) -> bool:
        """Whether nothing was cut off: the last id of a whole conversation ends it."""
        return len(self.ids) < MAX_TEXT_TOKENS


def fingerprint() -> str:
    """Hash the fixed texts, so that a stage can declare them as an input."""
    return hashlib.sha256(_fixed_texts().read_bytes()).hexdigest()[:12]


def choose_texts(rows: Path, template: Template) -> list[Text]:
    """Choose neutral prose, general answers, and of the persona's rows some of either part.

    Args:
        rows: The folder that the data stage wrote.
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
    """Choose conversations from all of the data, whose rows of a kind stand together.

    The form with the served system text and the plain one are taken in turn, where a row has both.
    Only whole texts are taken where there are any: a text that is cut shows no end of turn. The
    persona's own rows come before those of packs.
    """
    texts = [(example, _cut("trained", example.input_ids, example.labels)) for example in examples]
    whole = [pair for pair in texts if pair[1].is_whole]
    own, of_packs = dict[str, dict[bool, Text]](), dict[str, dict[bool, Text]]()
    for example, text in whole or texts:
        forms = own if example.pack is None else of_packs
        forms.setdefault(repr((example.conversation, example.tools)), {})[example.has_system] = text
    chosen = _spread(list(own.values()), ROWS)
    chosen += _spread(list(of_packs.values()), ROWS - len(chosen))
    return [
        form.get(number % 2 == 0, next(iter(form.values()))) for number, form in enumerate(chosen)
    ]


def _spread(forms: list[dict[bool, Text]], most: int) -> list[dict[bool, Text]]:
    """Take at most so many conversations, evenly from all of them."""
    return forms[:: -(-len(forms) // most)] if forms and most else []


def reply_positions(text: Text) -> list[int]:
    """List the positions after which a reply's token follows."""
    return [at - 1 for at in range(1, len(text.ids)) if text.labels[at] != IGNORED]


def _cut(kind: str, ids: list[int], labels: list[int]) -> Text:
    return Text(kind, ids[:MAX_TEXT_TOKENS], labels[:MAX_TEXT_TOKENS])


def _fixed_texts() -> Traversable:
    return resources.files("builder.evaluation").joinpath("texts.jsonl")
