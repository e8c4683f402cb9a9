"""Gate held out: replies it never saw are likelier than under its base."""

from __future__ import annotations

from typing import Any

import numpy as np

from builder.evaluation import reference
from builder.evaluation.distance import Distance
from builder.evaluation.evidence import LEAST_ANSWERS, Result, Verdict, mean_interval
from builder.evaluation.reference import Reference

NAME = "held_out"
TOLD = "finds replies it never saw likelier than its base does"
FAILED = "finds replies it never saw less likely than its base does"
ADVICE = "add rows: what it learnt does not carry over to rows of the same kind; or lower training.epochs"


def judge(said: Reference, distances: list[Distance]) -> Result:
    """Compare the mean loss of each held-out reply with the base's, row by row."""
    losses, base_losses = [], []
    for text, base_log, distance in zip(
        said.texts, said.base_label_log_probs, distances, strict=True
    ):
        at = reference.reply_positions(text)
        if text.kind == "held out" and len(at):
            losses.append(float(distance.losses[at].mean()))
            base_losses.append(float(-base_log[at].mean()))
    if not losses:
        return Result(NAME, "does not apply", note="no row is held out")
    mine, base = float(np.mean(losses)), float(np.mean(base_losses))
    figures: dict[str, Any] = {"loss_nats": mine, "base_loss_nats": base, "rows": len(losses)}
    note = f"loss {mine:.2f} nats a token over {len(losses)} rows, the base {base:.2f}"
    verdict: Verdict = "not enough evidence"
    if len(losses) >= LEAST_ANSWERS:
        low, high = mean_interval(np.subtract(losses, base_losses).tolist())
        verdict = "fail" if low > 0 else "pass" if high < 0 else "not enough evidence"
        figures["difference_interval_nats"] = [low, high]
        note += f", difference {low:+.2f} to {high:+.2f}"
    return Result(NAME, verdict, note=note, figures=figures)
