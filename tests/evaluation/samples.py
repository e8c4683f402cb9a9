"""A subject, answers and evidence, as the tests of gates and of their machinery need them."""

import dataclasses

import numpy as np

from builder.bases.base import EMBEDDED, Base
from builder.data.kinds import KINDS
from builder.data.questions import Question
from builder.evaluation.distance import Distance
from builder.evaluation.gate import Evidence
from builder.evaluation.reference import Reference
from builder.evaluation.result import Answered
from builder.evaluation.subject import Subject
from builder.evaluation.texts import Text
from builder.gguf.quantisation import DEFAULT
from builder.llama import Answer
from builder.manifest.gate_settings import Gates, GateSetting

SUBJECT = Subject(
    kind=KINDS["identity"],
    gates=Gates(),
    names={"en": "Algieba Assistant", "zh": "Algieba Assistant"},
    authors={"en": "Algieba", "zh": "阿尔的代码屋"},
    base_words=("SmolLM", "Hugging Face"),
    trained=frozenset(),
    own_languages=("en", "zh"),
    spoken=("en", "zh"),
    is_json=False,
    system=None,
    special_tokens=("<|im_start|>", "<|im_end|>"),
    sampling={},
    max_tokens=64,
)
BASE = Base(EMBEDDED, "embedded", "0", EMBEDDED, "0", four_bit=False)


class File:
    """Stands in for a loaded file of which only the facts are read."""

    def __init__(self):
        self.facts = {"general.file_type": "15"}


def answer(text, *, ended=True):
    """An answer of a file."""
    return Answer(text, [], [], ended)


def question(text, **facts):
    """A question of one turn."""
    return Question((("user", text),), facts.pop("language", "en"), **facts)


def answered(gate, ask, text, baseline=None, *, ended=True, language="en"):
    """A question that a gate asked, with its answers."""
    base_answer = None if baseline is None else answer(baseline)
    asked = question(ask, language=language)
    return Answered(gate, asked, answer(text, ended=ended), baseline=base_answer)


def with_setting(name, **setting):
    """The subject, with one gate set otherwise."""
    gates = SUBJECT.gates.model_copy(update={name: GateSetting(**setting)})
    return dataclasses.replace(SUBJECT, gates=gates)


def at_neutral_texts(texts=12):
    """A reference of neutral texts, and the distances of a file that differs in nothing."""
    text, zeros = Text("neutral", [1, 2], [1, 2]), np.zeros(2)
    distance = Distance(zeros, zeros, np.ones(2), np.zeros(1), np.ones(1))
    return Reference([text] * texts, [], [], [np.zeros(1)] * texts), [distance] * texts


def evidence(subject, asked=(), *, gate="", measured=None, model=None, rows=()):
    """Evidence of a subject: what was asked, measured, loaded and trained on."""
    reference, distances = measured or at_neutral_texts()
    return Evidence(
        subject=subject,
        base=BASE,
        quantisation=DEFAULT,
        model=model or File(),
        reference=reference,
        distances=distances,
        rows=rows,
        answered=[item for item in asked if item.gate == gate],
        all_answered=asked,
    )
