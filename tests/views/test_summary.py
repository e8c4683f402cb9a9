"""What a person reads at the end of a build."""

from builder.evaluation.report import Finding, GateAnswer, OwnAnswer, Report
from builder.gates import neutral as gate
from builder.views import summary
from tests.conftest import build_of

RECALL = {"gate": "recall", "of": 40, "advice": "add rows"}
KNOWS = "knows its name and author in {} of 40 wordings"


def answered(gate, ask, answer, *, ended=True):
    return GateAnswer(
        gate=gate,
        messages=[{"role": "user", "content": ask}],
        seed=None,
        answer=answer,
        ended=ended,
        is_right=True,
        by_file=True,
        least_margin_nats=None,
        baseline="Hm.",
        baseline_is_right=True,
    )


def own_answer(ask, answer, baseline, problem=None):
    return OwnAnswer(ask, answer, ended=True, baseline=baseline, problem=problem)


def write(build, **values):
    empty = {"gates": [], "hello": None, "manifest": [], "asked": []}
    build.folder.mkdir(parents=True)
    Report(share=1.0, tokens_per_s=50.0, **{**empty, **values}).write(build.smoke)


def test_it_tells_answers_findings_and_the_command(luma):
    """It tells answers with the base's, each gate in words, and how to talk to the model."""
    build = build_of(luma)
    gates = [
        Finding(**RECALL, verdict="pass", right=39, told=KNOWS.format(39)),
        Finding(
            "retention",
            "fail",
            mode="advice",
            told="solves 3 of 40 small tasks (base: 9)",
            note="p = 0.01",
        ),
        Finding("leak_out", "does not apply", note="no names are known"),
        Finding("format", "off"),
        Finding("calls", "does not apply"),
        Finding("end", "pass", is_told=False, told="was trained to end its turn"),
    ]
    asked = [
        answered("leak_in", "Name a bird.", "A gull."),
        answered("leak_in", "Write a haiku", "sea sea sea", ended=False),
    ]
    own = [own_answer("Who are you?", "I am Luma.", "I am SmolLM.")]
    hello = own_answer("Hello", "Hi!", "Hm.")
    write(build, gates=gates, asked=asked, manifest=own, hello=hello)

    said = "\n".join(summary.summarize(build.smoke, name="luma", model="luma:latest"))

    assert "Hello  →  Hi!   (before: Hm.)" in said
    assert "Who are you?  →  I am Luma.   (before: I am SmolLM.)" in said
    assert "knows its name and author in 39 of 40 wordings" in said
    assert "weak: solves 3 of 40 small tasks (base: 9) (advice)" in said
    assert "1 of 2 answers did not end: 'Write a haiku'" in said
    assert "not asked: leak_out (no names are known)" in said
    assert "format (off)" in said
    assert "calls" not in said
    assert "was trained to end its turn" not in said
    assert said.endswith("talk to it: ollama run luma")


def test_without_ollama_it_names_the_chat(luma):
    """Where no Ollama is, the command is the one that talks to the file."""
    build = build_of(luma)
    write(build)

    assert summary.summarize(build.smoke, name="luma", model=None)[-1].endswith("just chat luma")


def test_a_gate_let_through_says_so(luma):
    """A gate that would have stopped the build is told as let through by --anyway."""
    build = build_of(luma)
    write(build, gates=[Finding(**RECALL, verdict="fail", right=1, told=KNOWS.format(1))])

    assert (
        "weak: knows its name and author in 1 of 40 wordings (let through by --anyway)"
        in "\n".join(summary.summarize(build.smoke, name="luma", model="x"))
    )


def test_a_gate_without_numbers_says_that_it_failed(luma):
    """Failed fidelity is told as what it is; a wrong answer to a question is marked."""
    build = build_of(luma)
    own = [own_answer("Who?", "Bob.", None, "lacks 'Luma'")]
    neutral = Finding("neutral", "fail", mode="advice", told=gate.FAILED)
    write(build, gates=[neutral], manifest=own)

    said = "\n".join(summary.summarize(build.smoke, name="luma", model="x"))
    assert "weak: has moved far from its base on neutral text (advice)" in said
    assert "weak: 'Who?' is answered wrongly (lacks 'Luma'; let through by --anyway)" in said
