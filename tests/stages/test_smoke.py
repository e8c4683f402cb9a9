"""What a failed gate does to a build."""

import json

import pytest

from builder.engine.stage import Work
from builder.errors import GateError
from builder.evaluation import examination
from builder.evaluation.report import Finding, Report
from builder.gates import fidelity, recall
from builder.stages import smoke
from tests.conftest import build_of

FIDELITY = {"gate": "fidelity", "can_be_waived": False, "brief": "KL 0.100"}


@pytest.fixture
def examine(monkeypatch):
    """Let the examination find what a test says."""

    def set_findings(*findings):
        report = Report(
            share=1.0, tokens_per_s=50.0, gates=list(findings), hello=None, manifest=[], asked=[]
        )
        monkeypatch.setattr(examination, "examine", lambda _material, _gates, _share: report)

    return set_findings


def run(folder, **options):
    build = build_of(folder, **options)
    (build.folder / "logs").mkdir(parents=True, exist_ok=True)
    for name in ("dataset", "base"):
        (build.folder / name).mkdir(exist_ok=True)
    return smoke.run(smoke.inputs(build), Work(build.smoke, build.folder, build.machine)), build


def test_a_failed_gate_stops_unless_it_is_let_through(luma, examine):
    """The refusal says what the gate means and what to do; --anyway writes the failed gate down."""
    recalled = {
        "told": recall.FAILED.format(right=3, of=20),
        "advice": recall.ADVICE,
        "right": 3,
        "of": 20,
        "limit": 0.6,
    }
    examine(Finding(**FIDELITY, verdict="pass"), Finding("recall", "fail", **recalled))
    with pytest.raises(GateError) as refused:
        run(luma)
    _, build = run(luma, anyway=True)

    assert "it knows its name and author in 3 of 20 wordings" in refused.value.problems[0]
    assert "add rows" in refused.value.problems[-1]
    assert "just build luma --anyway" in refused.value.hint
    assert json.loads(build.smoke.read_text())["failed"] == ["recall"]


def test_advice_stops_nothing(luma, examine):
    """A gate that advises is told, and the build goes on."""
    examine(
        Finding(**FIDELITY, verdict="pass"),
        Finding("retention", "fail", mode="advice", right=3, of=20, baseline_right=9),
    )
    _, build = run(luma)

    assert json.loads(build.smoke.read_text())["failed"] == []


def test_fidelity_is_never_let_through(luma, examine):
    """What is registered is what was trained, whatever is typed."""
    examine(Finding(**FIDELITY, verdict="fail", told=fidelity.FAILED))

    with pytest.raises(GateError, match="does not give the probabilities of the trained model"):
        run(luma, anyway=True)
