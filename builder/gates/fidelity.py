"""Gate fidelity: the file says what the trained model said, wherever no question about names can be fooled."""

from __future__ import annotations

import numpy as np

from builder.base import Family
from builder.gates.distance import Distance
from builder.gates.evidence import Result
from builder.gates.reference import Reference
from builder.llama import QUANTIZED_AS, Model

NAME = "fidelity"
FILE_TYPE = "15"  # LLAMA_FTYPE_MOSTLY_Q4_K_M, llama.h of llama-cpp-python 0.3.36


def judge(model: Model, distances: list[Distance], family: Family, *, four_bit: bool) -> Result:
    """Hold mean KL divergence and top-1 agreement against what honest quantisation costs on this base."""
    kl = np.concatenate([distance.kl for distance in distances])
    agreed = np.concatenate([distance.agreed for distance in distances])
    limit = family.honest_kl_nats * (2 if four_bit else 1)  # trained on 4 bit and served from 16: two quantisations apart
    figures = {"mean_kl_nats": float(kl.mean()), "worst_kl_nats": float(kl.max()), "top1_share": float(agreed.mean()), "positions": len(kl)}
    note = f"KL {kl.mean():.4f} nats in the mean, {kl.max():.2f} at worst, limit {limit}"
    wrong_type = model.facts.get("general.file_type") != FILE_TYPE
    if wrong_type:
        note = f"is of file type {model.facts.get('general.file_type')}, expected {FILE_TYPE} ({QUANTIZED_AS})"
    return Result(NAME, "fail" if wrong_type or not kl.mean() <= limit else "pass", int(agreed.sum()), len(agreed), None, limit, note, figures)


def judge_neutral(said: Reference, distances: list[Distance], limit_nats: float) -> Result:
    """Hold how far neutral text has moved from the base against `gates.retention_nats`."""
    kl = np.concatenate([distance.base_kl for text, distance in zip(said.texts, distances, strict=True) if text.kind == "neutral"])
    mean = float(kl.mean())
    return Result("neutral", "pass" if mean <= limit_nats else "fail", 0, 0, None, limit_nats, f"KL {mean:.3f} nats from the base on neutral text", {"mean_kl_nats": mean})
