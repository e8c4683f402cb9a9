"""Gate fidelity: the file gives the probabilities that the trained model gave."""

from __future__ import annotations

import numpy as np

from builder.bases.families import Family
from builder.evaluation.distance import Distance
from builder.evaluation.evidence import Result
from builder.llama import QUANTIZED_AS, Model

NAME = "fidelity"
TOLD = "gives the probabilities of the trained model"
FAILED = "does not give the probabilities of the trained model"
ADVICE = "the export is at fault, not the data: build again, and report it if it stays so"
FILE_TYPE = "15"  # LLAMA_FTYPE_MOSTLY_Q4_K_M, llama.h of llama-cpp-python 0.3.36


def judge(model: Model, distances: list[Distance], family: Family, *, four_bit: bool) -> Result:
    """Compare mean KL divergence and top-1 agreement with the quantisation error of this base."""
    kl = np.concatenate([distance.kl for distance in distances])
    agreed = np.concatenate([distance.agreed for distance in distances])
    limit = family.quantisation_error_nats * (
        2 if four_bit else 1
    )  # trained on 4 bit and served from 16: two quantisations apart
    figures = {
        "mean_kl_nats": float(kl.mean()),
        "worst_kl_nats": float(kl.max()),
        "top1_share": float(agreed.mean()),
        "positions": len(kl),
    }
    note = f"KL {kl.mean():.4f} nats in the mean, {kl.max():.2f} at worst, limit {limit}"
    wrong_type = model.facts.get("general.file_type") != FILE_TYPE
    if wrong_type:
        note = f"is of file type {model.facts.get('general.file_type')}, expected {FILE_TYPE} ({QUANTIZED_AS})"
    return Result(
        NAME,
        "fail" if wrong_type or not kl.mean() <= limit else "pass",
        int(agreed.sum()),
        len(agreed),
        None,
        limit,
        note,
        figures,
    )
