"""What a finished file is judged by."""

import dataclasses

import pytest

from builder.evaluation import examination
from builder.evaluation.report import WrongAnswer
from builder.gates import fidelity, leak_in, recall
from builder.gates.table import GATES
from builder.manifest.manifest import Question as ManifestQuestion
from tests.evaluation.samples import SUBJECT, File, answer, answered, evidence, with_setting


def judge(subject, asked=()):
    """Let every gate judge."""
    findings, _ = examination.judge(GATES, evidence(subject, asked))
    return {finding.gate: finding for finding in findings}


def test_a_gate_that_is_off_is_said_to_be():
    """Its verdict says that it is off, and its note by whom."""
    assert judge(with_setting("leak_in", mode="off"))["leak_in"].verdict == "off"
    assert judge(with_setting("stop", mode="off"))["stop"].verdict == "off"
    assert judge(with_setting("stop", mode="off"))["stop"].note == "off in [gates]"


def test_a_persona_without_a_name_has_none_to_know_or_leak():
    """Recall, leak in, leak out and sampled do not apply; the reason is told."""
    nameless = dataclasses.replace(SUBJECT, names={}, authors={}, own_languages=())
    results = judge(nameless)

    assert recall.questions(nameless, 1.0) == leak_in.questions(nameless, 1.0) == []
    for name in ("recall", "leak_in", "leak_out", "sampled"):
        assert (results[name].verdict, results[name].note) == ("does not apply", "no name is given")


def test_each_answer_is_marked_by_the_gate_that_asked():
    """The report holds every answer with its mark, and the base's; no gate is left out."""
    wrong = answered("leak_in", "Name a bird.", "Algieba.")
    asked = [answered("retention", "Hm?", "Hm.", "Hm."), wrong]
    findings, answers = examination.judge(GATES, evidence(SUBJECT, asked))
    leak = next(finding for finding in findings if finding.gate == "leak_in")

    assert [(one.gate, one.is_right, one.baseline_is_right) for one in answers] == [
        ("leak_in", False, None),
        ("retention", False, False),
    ]
    assert leak.told == "keeps its name out of 0 of 1 other answers"
    assert leak.examples == (WrongAnswer("Name a bird.", "Algieba."),)
    assert [finding.gate for finding in findings] == [gate.NAME for gate in GATES]


def test_a_failure_is_told_in_words_of_its_own():
    """What passes is told by TOLD, what fails by FAILED, and with the gate's advice."""
    wrong = File()
    wrong.facts = {"general.file_type": "1"}
    passed, failed = (
        examination.judge([fidelity], evidence(SUBJECT, model=model))[0][0]
        for model in (File(), wrong)
    )

    assert (passed.verdict, passed.told) == ("pass", fidelity.TOLD)
    assert (failed.verdict, failed.told, failed.advice) == (
        "fail",
        fidelity.FAILED,
        fidelity.ADVICE,
    )


def test_only_the_gates_of_the_manifest_can_be_waived():
    """Fidelity has no setting: it stops every build, and is never let through."""
    findings = judge(SUBJECT)

    assert [name for name, finding in findings.items() if not finding.can_be_waived] == ["fidelity"]
    assert findings["fidelity"].mode == "stop"


@pytest.mark.parametrize(
    ("text", "ended", "problem"),
    [
        ("I am Luma.", True, None),
        ("I am Luma", False, "did not end by itself"),
        (" ", True, "is empty, lacks 'Luma'"),
        ("luma, a bot", True, "contains 'bot'"),
    ],
)
def test_an_answer_to_the_manifest_is_judged_by_its_words(text, ended, problem):
    """It ends, says something, and holds what it must and nothing that it must not."""

    class Fixed:
        def answer(self, _question):
            return answer(text, ended=ended)

    own = ManifestQuestion(ask="Who?", must=("Luma",), must_not=("bot",))

    assert examination.ask_own(SUBJECT, Fixed(), None, own).problem == problem
