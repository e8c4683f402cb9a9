"""Gate fidelity: the file gives the same probabilities as the in-memory model."""

from __future__ import annotations

import numpy as np

from builder.data.questions import Question
from builder.evaluation.gate import Evidence
from builder.evaluation.result import Result
from builder.evaluation.subject import Subject

NAME = "fidelity"
TOLD = "gives the probabilities of the trained model"
FAILED = "does not give the probabilities of the trained model"
ADVICE = "the export is at fault, not the data: build again, and report it if it stays so"
IS_TOLD = False


def questions(_subject: Subject, _share: float) -> list[Question]:
    """List nothing: it judges probabilities."""
    return []


def judge(evidence: Evidence) -> Result:
    """Compare the mean KL divergence with the allowed quantisation error; check the file type."""
    kl = np.concatenate([distance.kl for distance in evidence.distances])
    agreed = np.concatenate([distance.agreed for distance in evidence.distances])
    error_nats, wanted = evidence.base.family.quantisation_error_nats, evidence.quantisation
    # A base trained in 4 bit is exported from its 16-bit weights: there are two quantisation
    # errors.
    training_nats = error_nats if evidence.base.four_bit else 0.0
    limit = round(wanted.allowed_kl_nats(error_nats) + training_nats, 4)
    figures: dict[str, float | list[float]] = {
        "mean_kl_nats": float(kl.mean()),
        "worst_kl_nats": float(kl.max()),
        "top1_share": float(agreed.mean()),
        "positions": len(kl),
    }
    note = f"KL {kl.mean():.4f} nats on average, {kl.max():.2f} at worst, limit {limit}"
    file_type = evidence.model.facts.get("general.file_type")
    is_wrong_type = file_type != str(wanted.file_type)
    if is_wrong_type:
        note = f"has file type {file_type}, expected {wanted.file_type} ({wanted.name})"
    return Result(
        NAME,
        "fail" if is_wrong_type or not kl.mean() <= limit else "pass",
        int(agreed.sum()),
        len(agreed),
        limit=limit,
        note=note,
        figures=figures,
        brief=f"KL {kl.mean():.3f}",
    )
