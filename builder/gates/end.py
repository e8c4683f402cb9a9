"""Gate end: the end-of-turn token was trained, which greedy answers hardly show."""

from __future__ import annotations

import numpy as np

from builder.evaluation import reference
from builder.evaluation.distance import Distance
from builder.evaluation.evidence import LEAST_ANSWERS, Result, Verdict
from builder.evaluation.reference import Reference
from builder.evaluation.subject import Subject

NAME = "end"
TOLD = "was trained to end its turn"
FAILED = "was not trained to end its turn"
ADVICE = "training is at fault, not the data: build again, and report it if it stays so"


def judge(subject: Subject, said: Reference, distances: list[Distance]) -> Result:
    """Compare the token's mean loss after trained replies with that of their words, or with `gates.end`.

    A base that ends its answers by habit goes on doing so where no end is trained, after most of them: greedy answers hardly show it.
    """
    ends, base_ends, words = [], [], []
    for text, base_log, distance in zip(
        said.texts, said.base_label_log_probs, distances, strict=True
    ):
        if text.kind == "trained" and text.is_whole:
            end = len(text.ids) - 2  # the position before the last token
            ends.append(float(distance.losses[end]))
            base_ends.append(-float(base_log[end]))
            words += [
                float(distance.losses[at]) for at in reference.reply_positions(text) if at != end
            ]
    if len(ends) < LEAST_ANSWERS:
        return Result(
            NAME,
            "not enough evidence",
            note=f"{len(ends)} rows are short enough to be held whole, expected {LEAST_ANSWERS}",
        )
    loss, limit = (
        float(np.mean(ends)),
        max(float(np.mean(words)) if words else 0.0, subject.gates.limit(NAME)),
    )
    verdict: Verdict = "pass" if loss <= limit else "fail"
    note = f"the end-of-turn token costs {loss:.3f} nats after {len(ends)} trained replies, limit {limit:.2f}, the base {np.mean(base_ends):.2f}"
    return Result(
        NAME,
        verdict,
        0,
        0,
        None,
        limit,
        note,
        {"loss_nats": loss, "base_loss_nats": float(np.mean(base_ends)), "replies": len(ends)},
    )
