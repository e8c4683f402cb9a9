"""Gate stop: every answer ends by itself, says something, and shows nothing of the template; and the end was taught."""

from __future__ import annotations

import re

import numpy as np

from builder.gates import reference
from builder.gates.distance import Distance
from builder.gates.evidence import LEAST_ANSWERS, Result, Verdict
from builder.gates.questions import Question
from builder.gates.reference import Reference
from builder.gates.subject import Subject
from builder.llama import Answer

NAME = "stop"
# What a model says that runs over its end: the next turn's heading.
SCAFFOLD = re.compile(r"### ?(Instruction|Response)|^(user|assistant|system)\s*:?\s*$|<\|[^|<>]*\|>", re.MULTILINE | re.IGNORECASE)
# An end this likely was taught, whatever else was learnt by heart: nine times in ten.
TAUGHT_NATS = 0.1


def ask(_subject: Subject, _share: float) -> list[Question]:
    """List nothing of its own: it judges what the other gates asked."""
    return []


def is_right(subject: Subject, _question: Question, answer: Answer) -> bool:
    """Say whether the answer ended within the bound and holds words alone."""
    return answer.ended and bool(answer.text.strip()) and not SCAFFOLD.search(answer.text) and not any(token in answer.text for token in subject.special)


def least(subject: Subject) -> float:
    """Give the least share that must be right, from `gates.stop`."""
    return subject.limits.stop


def judge_end(said: Reference, distances: list[Distance]) -> Result:
    """Hold the end's mean loss after replies it was trained on against that of their words.

    A base that ends its answers by habit goes on doing so where no end is taught, after most of them: greedy answers hardly show it.
    """
    ends, base_ends, words = [], [], []
    for text, base_log, distance in zip(said.texts, said.base_label_log_probs, distances, strict=True):
        if text.kind == "trained" and text.is_whole:
            end = len(text.ids) - 2  # the position before the last token
            ends.append(float(distance.losses[end]))
            base_ends.append(-float(base_log[end]))
            words += [float(distance.losses[at]) for at in reference.reply_positions(text) if at != end]
    if len(ends) < LEAST_ANSWERS:
        return Result("end", "not enough evidence", note=f"{len(ends)} rows are short enough to be held whole, expected {LEAST_ANSWERS}")
    loss, limit = float(np.mean(ends)), max(float(np.mean(words)) if words else 0.0, TAUGHT_NATS)
    verdict: Verdict = "pass" if loss <= limit else "fail"
    note = f"its end costs {loss:.3f} nats after {len(ends)} replies it was trained on, limit {limit:.2f}, the base's {np.mean(base_ends):.2f}"
    return Result("end", verdict, 0, 0, None, limit, note, {"loss_nats": loss, "base_loss_nats": float(np.mean(base_ends)), "replies": len(ends)})
