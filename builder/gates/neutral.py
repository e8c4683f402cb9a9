"""Gate neutral: on text unrelated to the persona, the file gives about the base's probabilities."""

from __future__ import annotations

from builder.data.questions import Question
from builder.evaluation.gate import Evidence
from builder.evaluation.result import Result
from builder.evaluation.statistics import judge_greatest
from builder.evaluation.subject import Subject

NAME = "neutral"
TOLD = "stays near its base on neutral text"
FAILED = "has moved far from its base on neutral text"
ADVICE = "lower training.epochs or training.learning_rate, or raise training.replay"
IS_TOLD = False


def questions(_subject: Subject, _share: float) -> list[Question]:
    """List nothing: it judges probabilities."""
    return []


def judge(evidence: Evidence) -> Result:
    """Compare the mean KL divergence from the base, text by text, with `gates.neutral`."""
    pairs = zip(evidence.reference.texts, evidence.distances, strict=True)
    means = [float(distance.base_kl.mean()) for text, distance in pairs if text.kind == "neutral"]
    mean, limit = sum(means) / len(means), evidence.subject.gates.limit(NAME)
    note = f"KL {mean:.3f} nats from the base on neutral text, limit {limit:g}"
    return Result(
        NAME, judge_greatest(means, limit), limit=limit, note=note, figures={"mean_kl_nats": mean}
    )
