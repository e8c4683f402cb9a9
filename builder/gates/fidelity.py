"""Gate fidelity: the file gives the probabilities that the trained model gave."""

from __future__ import annotations

import numpy as np

from builder.bases.families import Family
from builder.evaluation.distance import Distance
from builder.evaluation.evidence import Result
from builder.gguf.quantisation import DEFAULT, Quantisation
from builder.llama import Model

NAME = "fidelity"
TOLD = "gives the probabilities of the trained model"
FAILED = "does not give the probabilities of the trained model"
ADVICE = "the export is at fault, not the data: build again, and report it if it stays so"


def judge(
    model: Model,
    distances: list[Distance],
    family: Family,
    *,
    four_bit: bool,
    quantisation: Quantisation = DEFAULT,
) -> Result:
    """Compare mean KL divergence from the in-memory model with what quantisation may cost.

    Args:
        model: The file.
        distances: How far it is from the in-memory model, for each text.
        family: The base's, which says what q4_k_m may cost.
        four_bit: Whether training was on 4-bit weights. The file comes of the 16-bit ones, so that
            two quantisations lie between the two models.
        quantisation: What the file was to be quantised to.

    """
    kl = np.concatenate([distance.kl for distance in distances])
    agreed = np.concatenate([distance.agreed for distance in distances])
    training_nats = family.honest_kl_nats if four_bit else 0.0
    limit = round(quantisation.allowed_kl_nats(family.honest_kl_nats) + training_nats, 4)
    figures = {
        "mean_kl_nats": float(kl.mean()),
        "worst_kl_nats": float(kl.max()),
        "top1_share": float(agreed.mean()),
        "positions": len(kl),
    }
    note = f"KL {kl.mean():.4f} nats on average, {kl.max():.2f} at worst, limit {limit}"
    file_type = model.facts.get("general.file_type")
    is_wrong_type = file_type != str(quantisation.file_type)
    if is_wrong_type:
        note = (
            f"is of file type {file_type}, expected {quantisation.file_type} ({quantisation.name})"
        )
    return Result(
        NAME,
        "fail" if is_wrong_type or not kl.mean() <= limit else "pass",
        int(agreed.sum()),
        len(agreed),
        None,
        limit,
        note,
        figures,
    )
