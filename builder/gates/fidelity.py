"""Gate fidelity: the file gives the probabilities that the trained model gave."""

from __future__ import annotations

import numpy as np

from builder.data.questions import Question
from builder.evaluation.gate import Evidence
from builder.evaluation.result import Result
from builder.evaluation.subject import Subject
from builder.llama import QUANTIZED_AS

NAME = "fidelity"
TOLD = "gives the probabilities of the trained model"
FAILED = "does not give the probabilities of the trained model"
ADVICE = "the export is at fault, not the data: build again, and report it if it stays so"
IS_TOLD = False
FILE_TYPE = "15"  # LLAMA_FTYPE_MOSTLY_Q4_K_M, llama.h of llama-cpp-python 0.3.36


def questions(_subject: Subject, _share: float) -> list[Question]:
    """List nothing: it judges probabilities."""
    return []


def judge(evidence: Evidence) -> Result:
    """Compare mean KL divergence and top-1 agreement with the quantisation error of this base."""
    kl = np.concatenate([distance.kl for distance in evidence.distances])
    agreed = np.concatenate([distance.agreed for distance in evidence.distances])
    # Trained on 4 bit and served from 16: two quantisations apart.
    limit = evidence.base.family.quantisation_error_nats * (2 if evidence.base.four_bit else 1)
    figures: dict[str, float | list[float]] = {
        "mean_kl_nats": float(kl.mean()),
        "worst_kl_nats": float(kl.max()),
        "top1_share": float(agreed.mean()),
        "positions": len(kl),
    }
    note = f"KL {kl.mean():.4f} nats in the mean, {kl.max():.2f} at worst, limit {limit}"
    file_type = evidence.model.facts.get("general.file_type")
    is_wrong_type = file_type != FILE_TYPE
    if is_wrong_type:
        note = f"is of file type {file_type}, expected {FILE_TYPE} ({QUANTIZED_AS})"
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
