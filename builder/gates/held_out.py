"""Gate held_out: held-out replies have a lower loss than under the base."""

from __future__ import annotations

import numpy as np

from builder.data.questions import Question
from builder.evaluation.gate import Evidence
from builder.evaluation.result import Result, does_not_apply
from builder.evaluation.statistics import LEAST_ANSWERS, Verdict, mean_interval
from builder.evaluation.subject import Subject
from builder.evaluation.texts import reply_positions

NAME = "held_out"
TOLD = "finds replies it never saw likelier than its base does"
FAILED = "finds replies it never saw less likely than its base does"
ADVICE = (
    "add rows: what it learnt does not carry over to rows of the same kind; "
    "or lower training.epochs"
)
IS_TOLD = True


def questions(_subject: Subject, _share: float) -> list[Question]:
    """List nothing: it judges probabilities."""
    return []


def judge(evidence: Evidence) -> Result:
    """Compare the mean loss of each held-out reply with the base's, row by row."""
    reference = evidence.reference
    losses, base_losses = [], []
    for text, base_log_probs, distance in zip(
        reference.texts, reference.base_label_log_probs, evidence.distances, strict=True
    ):
        positions = reply_positions(text)
        if text.kind == "held out" and len(positions):
            losses.append(float(distance.losses[positions].mean()))
            base_losses.append(float(-base_log_probs[positions].mean()))
    if not losses:
        return does_not_apply(NAME, "no row is held out")
    loss, base_loss = float(np.mean(losses)), float(np.mean(base_losses))
    figures: dict[str, float | list[float]] = {
        "loss_nats": loss,
        "base_loss_nats": base_loss,
        "rows": len(losses),
    }
    note = f"loss {loss:.2f} nats a token over {len(losses)} rows, the base {base_loss:.2f}"
    verdict: Verdict = "not enough evidence"
    if len(losses) >= LEAST_ANSWERS:
        low, high = mean_interval(np.subtract(losses, base_losses).tolist())
        verdict = "fail" if low > 0 else "pass" if high < 0 else "not enough evidence"
        figures["difference_interval_nats"] = [low, high]
        note += f", difference {low:+.2f} to {high:+.2f}"
    return Result(NAME, verdict, note=note, figures=figures)
