"""Gate end: the end-of-turn token was trained, which greedy answers hardly show."""

from __future__ import annotations

import numpy as np

from builder.data.questions import Question
from builder.evaluation.gate import Evidence
from builder.evaluation.result import Result
from builder.evaluation.statistics import LEAST_ANSWERS
from builder.evaluation.subject import Subject
from builder.evaluation.texts import reply_positions

NAME = "end"
TOLD = "was trained to end its turn"
FAILED = "was not trained to end its turn"
ADVICE = "training is at fault, not the data: build again, and report it if it stays so"
IS_TOLD = False


def questions(_subject: Subject, _share: float) -> list[Question]:
    """List nothing: it judges probabilities."""
    return []


def judge(evidence: Evidence) -> Result:
    """Compare the mean loss of the end-of-turn token after trained replies with a limit.

    The limit is `gates.end` or the mean loss of the replies' other tokens, whichever is greater.
    Most bases end their answers anyway, so greedy answers hardly show that the token was not
    trained.
    """
    reference = evidence.reference
    ends, base_ends, words = [], [], []
    for text, base_log_probs, distance in zip(
        reference.texts, reference.base_label_log_probs, evidence.distances, strict=True
    ):
        if text.is_trained and text.is_whole:
            end = len(text.ids) - 2  # the position before the last token
            ends.append(float(distance.losses[end]))
            base_ends.append(-float(base_log_probs[end]))
            words += [float(distance.losses[at]) for at in reply_positions(text) if at != end]
    if len(ends) < LEAST_ANSWERS:
        note = f"{len(ends)} whole rows to measure it at, expected {LEAST_ANSWERS}"
        return Result(NAME, "not enough evidence", note=note)
    loss, base_loss = float(np.mean(ends)), float(np.mean(base_ends))
    limit = max(float(np.mean(words)) if words else 0.0, evidence.subject.gates.limit(NAME))
    return Result(
        NAME,
        "pass" if loss <= limit else "fail",
        limit=limit,
        note=f"the end-of-turn token costs {loss:.3f} nats after {len(ends)} trained replies, "
        f"limit {limit:.2f}, the base {base_loss:.2f}",
        figures={"loss_nats": loss, "base_loss_nats": base_loss, "replies": len(ends)},
    )
