"""How many questions are asked."""

import dataclasses

from builder.data.questions import Question
from builder.evaluation import answers, budget
from builder.gates.table import GATES
from tests.evaluation.samples import SUBJECT, answer, with_setting


def test_the_budget_decides_how_much_is_asked():
    """A slow machine is asked less, and never nothing."""
    recorded = answers.Answers({(("user", "?"),): answer("in memory")})
    assert (
        budget.choose_share(GATES, SUBJECT, 1e6, answers.Answers())
        == budget.choose_share(GATES, SUBJECT, 1e6, recorded)
        == 1.0
    )
    assert budget.choose_share(GATES, SUBJECT, 1e-3, answers.Answers()) == budget.SHARES[-1]
    assert (
        budget.choose_share(GATES, SUBJECT, 1e-3, recorded)
        == budget.SAMPLE_SHARE
        < budget.SHARES[-1]
    )
    assert budget.predict_s(GATES, SUBJECT, 0.25, 50) < budget.predict_s(GATES, SUBJECT, 1.0, 50)


def test_a_sample_is_enough_of_what_was_answered_in_memory():
    """Where the whole table fits the file's minute but no ten seconds, a part of it is asked."""
    recorded = answers.Answers({(("user", "?"),): answer("in memory")})
    tokens_per_s = budget.predict_s(GATES, SUBJECT, 1.0, 1.0) / 50

    assert budget.choose_share(GATES, SUBJECT, tokens_per_s, answers.Answers()) == 1.0
    share = budget.choose_share(GATES, SUBJECT, tokens_per_s, recorded)
    assert budget.predict_s(GATES, SUBJECT, share, tokens_per_s) <= budget.SAMPLE_S


def test_a_gate_that_is_off_asks_nothing():
    """Its questions are not planned."""
    subject_off = with_setting("leak_in", mode="off")

    assert "leak_in" not in {gate.NAME for gate, _ in budget.plan(GATES, subject_off, 1.0)}
    assert "leak_in" in {gate.NAME for gate, _ in budget.plan(GATES, SUBJECT, 1.0)}


def test_gates_ask_under_the_served_system_text():
    """Each question carries the served text, but for one with a system text of its own."""
    served = dataclasses.replace(SUBJECT, system="Be brief.")
    own = Question((("system", "Be long."), ("user", "Hi")), "en")

    assert all(
        one.messages[0] == ("system", "Be brief.") for _, one in budget.plan(GATES, served, 0.125)
    )
    assert served.serve(own) == own
    assert all(one.messages[0][0] != "system" for _, one in budget.plan(GATES, SUBJECT, 0.125))
