"""What a person reads at the end of a build."""

import json

from builder import summary
from tests.conftest import build_of

GATE = {"right": 39, "of": 40, "control_right": None, "note": "", "mode": "stop"}


def one(gate, ask, answer, *, ended=True):
    return {
        "gate": gate,
        "messages": [{"role": "user", "content": ask}],
        "answer": answer,
        "ended": ended,
        "control": "Hm.",
    }


def write(job, **values):
    found = {"gates": [], "asked": [], "manifest": []}
    job.build.mkdir(parents=True)
    job.smoke.write_text(json.dumps({**found, **values}))


def test_it_tells_answers_findings_and_the_command(luma):
    """Answers beside the baseline's, each gate in words, and how to talk to it."""
    job = build_of(luma)
    gates = [
        {**GATE, "gate": "recall", "verdict": "pass"},
        {
            **GATE,
            "gate": "retention",
            "verdict": "fail",
            "mode": "advice",
            "right": 3,
            "control_right": 9,
            "note": "p = 0.01",
        },
        {**GATE, "gate": "leak_out", "verdict": "does not apply", "note": "no names are known"},
        {**GATE, "gate": "format", "verdict": "off"},
    ]
    asked = [
        one("leak_in", "Name a bird.", "A gull."),
        one("leak_in", "Write a haiku", "sea sea sea", ended=False),
    ]
    own = [
        {"ask": "Who are you?", "answer": "I am Luma.", "control": "I am SmolLM.", "problem": None}
    ]
    hello = {"ask": "Hello", "answer": "Hi!", "control": "Hm."}
    write(job, gates=gates, asked=asked, manifest=own, hello=hello)

    said = "\n".join(summary.summarize(job.smoke, name="luma", model="luma:latest"))

    assert "Hello  →  Hi!   (before: Hm.)" in said
    assert "Who are you?  →  I am Luma.   (before: I am SmolLM.)" in said
    assert "knows its name and author in 39 of 40 wordings" in said
    assert "weak: solves 3 of 40 small tasks, its base in 9 (advice)" in said
    assert "1 of 2 answers did not end: 'Write a haiku'" in said
    assert "not asked: leak_out (no names are known)" in said
    assert "format (off)" in said
    assert said.endswith("talk to it: ollama run luma")


def test_without_ollama_it_names_the_chat(luma):
    """Where no Ollama is, the command is the one that talks to the file."""
    job = build_of(luma)
    write(job)

    assert summary.summarize(job.smoke, name="luma", model=None)[-1].endswith("just chat luma")


def test_a_gate_let_through_says_so(luma):
    """A gate that would have stopped the build is told as let through by hand."""
    job = build_of(luma)
    write(job, gates=[{**GATE, "gate": "recall", "verdict": "fail", "right": 1}])

    assert "weak: knows its name and author in 1 of 40 wordings (let through by hand)" in "\n".join(
        summary.summarize(job.smoke, name="luma", model="x")
    )


def test_a_gate_without_numbers_says_that_it_failed(luma):
    """A failed gate without counts is told in words, and a wrong answer is marked."""
    job = build_of(luma)
    own = [{"ask": "Who?", "answer": "Bob.", "control": None, "problem": "lacks 'Luma'"}]
    write(
        job, gates=[{**GATE, "gate": "neutral", "verdict": "fail", "mode": "advice"}], manifest=own
    )

    said = "\n".join(summary.summarize(job.smoke, name="luma", model="x"))
    assert "weak: has moved far from its base on neutral text (advice)" in said
    assert "weak: 'Who?' is answered wrongly (lacks 'Luma'; let through by hand)" in said
