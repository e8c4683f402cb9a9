"""What a report says, and how it is written and read."""

import json

import pytest

from builder.errors import GateError, ToolError
from builder.evaluation import report
from builder.evaluation.report import Finding, GateAnswer, OwnAnswer, Report, WrongAnswer, shorten
from builder.gates import recall


def make_report(*gates, manifest=(), asked=()):
    """A report of these findings."""
    return Report(
        share=1.0,
        tokens_per_s=50.0,
        gates=list(gates),
        hello=None,
        manifest=list(manifest),
        asked=list(asked),
    )


def test_a_gate_error_is_raised_with_every_failure():
    """All failed gates are told at once, each with answers."""
    found = make_report(
        Finding(
            "recall",
            "fail",
            right=0,
            of=20,
            baseline_right=0,
            limit=0.6,
            advice=recall.ADVICE,
            examples=(WrongAnswer("Who are you?", "I am Bob."),),
        ),
        Finding("stop", "fail", right=1, of=20, limit=0.97, note="every answer above"),
    )

    problems = found.problems()
    with pytest.raises(GateError):
        raise GateError(*problems)
    assert problems[0].startswith("recall: 0 of 20 right")
    assert "'Who are you?' is answered 'I am Bob.'" in problems[1]
    assert problems[2] == f"  fix: {recall.ADVICE}"
    assert problems[3].startswith("stop: 1 of 20 right")


@pytest.mark.parametrize(("mode", "stops"), [("stop", True), ("advice", False)])
def test_a_gate_stops_or_advises(mode, stops):
    """A failed gate stops a build only where its mode is stop, not as advice."""
    found = make_report(Finding("recall", "fail", right=0, of=20, limit=0.6, mode=mode))

    assert bool(found.failed) is bool(found.problems()) is stops


def test_a_failure_that_shows_the_build_wrong_cannot_be_waived():
    """One failed gate that cannot be let through is enough; where it passed it is not."""
    recall_failed = Finding("recall", "fail")
    fidelity = {"gate": "fidelity", "can_be_waived": False}

    assert make_report(recall_failed).can_be_waived
    assert make_report(recall_failed, Finding(**fidelity, verdict="pass")).can_be_waived
    assert not make_report(recall_failed, Finding(**fidelity, verdict="fail")).can_be_waived


def test_a_report_is_read_as_it_was_written(tmp_path):
    """Every field comes back, and the file says what failed and each interval."""
    own = OwnAnswer("Who?", "Bob.", ended=True, baseline=None, problem="lacks 'Luma'")
    asked = GateAnswer(
        gate="recall",
        messages=[{"role": "user", "content": "Who are you?"}],
        seed=None,
        answer="I am Bob.",
        ended=True,
        is_right=False,
        by_file=True,
        least_margin_nats=1.5,
        baseline="I am SmolLM.",
        baseline_is_right=False,
    )
    examples = (WrongAnswer("Who are you?", "I am Bob."),)
    figures = {"difference_interval_nats": [0.1, 0.2]}
    finding = Finding("recall", "fail", right=1, of=20, figures=figures, examples=examples)
    written = make_report(finding, manifest=[own], asked=[asked])

    written.write(tmp_path / "smoke.json")
    values = json.loads((tmp_path / "smoke.json").read_text("utf-8"))

    assert report.read(tmp_path / "smoke.json") == written
    assert values["failed"] == ["smoke", "recall"]
    assert values["gates"][0]["interval"] == list(finding.interval)


@pytest.mark.parametrize("content", [None, "{", '{"schema": 3, "gates": []}'])
def test_a_report_that_cannot_be_read_is_told(tmp_path, content):
    """A file that is missing, cut short or of another schema is an error with its path."""
    path = tmp_path / "smoke.json"
    if content is not None:
        path.write_text(content)

    with pytest.raises(ToolError, match=r"smoke\.json: cannot be read"):
        report.read(path)


@pytest.mark.parametrize("messages", [[], [{}], [{"role": "user"}]])
def test_a_report_without_its_questions_is_told(tmp_path, messages):
    """The page would show the last message of each."""
    path = tmp_path / "smoke.json"
    asked = GateAnswer("recall", messages, None, "x", True, True, True, None, None, None)
    make_report(asked=[asked]).write(path)

    with pytest.raises(ToolError, match="cannot be read"):
        report.read(path)


def test_a_report_of_more_right_answers_than_questions_is_told(tmp_path):
    """Such figures have no interval."""
    path = tmp_path / "smoke.json"
    make_report(Finding("recall", "pass", right=1, of=20)).write(path)
    values = json.loads(path.read_text("utf-8"))
    values["gates"][0]["right"] = 21
    path.write_text(json.dumps(values))

    with pytest.raises(ToolError, match=r"smoke\.json: cannot be read"):
        report.read(path)


def test_an_answer_that_repeats_itself_is_cut_at_its_second_round():
    """A loop is shown once, and a long answer is cut."""
    assert shorten("Well. " + "The tide is high. " * 20) == "Well. The tide is high …"
    assert len(shorten("".join(map(str, range(500))))) < 260
    assert shorten("The sea is calm.") == "The sea is calm."
