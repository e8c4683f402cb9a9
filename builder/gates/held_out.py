"""Gate held out: replies it never saw are likelier than under its base; for a persona that is a style rather than a name."""

from __future__ import annotations

import numpy as np

from builder.gates import reference
from builder.gates.distance import Distance
from builder.gates.evidence import Result, Verdict
from builder.gates.reference import Reference

NAME = "held_out"
LEAST_TOKENS = 50


def judge(said: Reference, distances: list[Distance]) -> Result:
    """Hold the mean loss a token on held-out replies against the base's."""
    losses: list[float] = []
    base_losses: list[float] = []
    for text, base_log, distance in zip(said.texts, said.base_label_log_probs, distances, strict=True):
        if text.kind == "held out":
            at = reference.reply_positions(text)
            losses += distance.losses[at].tolist()
            base_losses += (-base_log[at]).tolist()
    if not losses:
        return Result(NAME, "does not apply", note="no row is held out")
    mine, base = float(np.mean(losses)), float(np.mean(base_losses))
    verdict: Verdict = "not enough evidence" if len(losses) < LEAST_TOKENS else "pass" if mine < base else "fail"
    note = f"loss {mine:.2f} nats a token, the base's {base:.2f}"
    return Result(NAME, verdict, 0, 0, None, None, note, {"loss_nats": mine, "base_loss_nats": base, "tokens": len(losses)})
