"""Gate neutral: on text that has nothing to do with the persona, the file stays near its base."""

from __future__ import annotations

from builder.evaluation.distance import Distance
from builder.evaluation.evidence import Result, judge_greatest
from builder.evaluation.reference import Reference
from builder.evaluation.subject import Subject

NAME = "neutral"
TOLD = "stays near its base on neutral text"
FAILED = "has moved far from its base on neutral text"
ADVICE = "lower training.epochs or training.learning_rate, or raise training.replay"


def judge(subject: Subject, said: Reference, distances: list[Distance]) -> Result:
    """Compare the mean KL divergence from the base, text by text, with `gates.neutral`."""
    pairs = zip(said.texts, distances, strict=True)
    means = [float(distance.base_kl.mean()) for text, distance in pairs if text.kind == "neutral"]
    mean, limit = sum(means) / len(means), subject.gates.limit(NAME)
    note = f"KL {mean:.3f} nats from the base on neutral text, limit {limit:g}"
    return Result(
        NAME, judge_greatest(means, limit), limit=limit, note=note, figures={"mean_kl_nats": mean}
    )
