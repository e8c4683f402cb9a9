"""What a failed gate does to a build."""

import json

import pytest

from builder.errors import GateError
from builder.evaluation import examination
from builder.evaluation.evidence import Result
from builder.evaluation.examination import Examination
from builder.stages import smoke
from tests.conftest import job_of

KL = {"mean_kl_nats": 0.1}


@pytest.fixture
def examine(monkeypatch):
    """Let the examination find what a test says."""

    def set_results(*results):
        found = Examination(1.0, 50.0, list(results), [], [])
        monkeypatch.setattr(examination, "examine", lambda _job, _share: found)

    return set_results


def run(folder, **options):
    job = job_of(folder, **options)
    (job.build / "logs").mkdir(parents=True, exist_ok=True)
    return smoke.run(job, job.smoke), job


def test_a_failed_gate_stops_unless_it_is_let_through(luma, examine):
    """The refusal says what the gate means and what to do; with --anyway the failed gate is written down."""
    examine(Result("fidelity", "pass", figures=KL), Result("recall", "fail", 3, 20, 0, 0.6))
    with pytest.raises(GateError) as refused:
        run(luma)
    _, job = run(luma, anyway=True)

    assert "it knows its name and author in 3 of 20 wordings" in refused.value.problems[0]
    assert "add rows" in refused.value.problems[-1]
    assert "just build luma --anyway" in refused.value.hint
    assert json.loads(job.smoke.read_text())["let_through"] == ["recall"]


def test_advice_stops_nothing(luma, examine):
    """A gate that advises is told, and the build goes on."""
    examine(
        Result("fidelity", "pass", figures=KL), Result("retention", "fail", 3, 20, 9, mode="advice")
    )
    _, job = run(luma)

    assert json.loads(job.smoke.read_text())["let_through"] == []


def test_fidelity_is_never_let_through(luma, examine):
    """What is registered is what was trained, whatever is typed."""
    examine(Result("fidelity", "fail", figures=KL))

    with pytest.raises(GateError, match="does not give the probabilities of the trained model"):
        run(luma, anyway=True)
