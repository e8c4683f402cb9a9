"""What a person reads at the end of a build: what it answers, what is weak, and how to talk to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from builder import files
from builder.engine.stage import Job
from builder.evaluation.examination import advice_of, shorten, tell

# Gates that verify the chain; a person reads of them only where they fail.
QUIET = ("fidelity", "end", "stop", "neutral")
SHOWN = 5


def summarize(job: Job, result: str) -> list[str]:
    """Tell of a finished build, from smoke.json.

    Args:
        job: The persona.
        result: The name in Ollama, or the Modelfile's path where there is no Ollama.

    """
    values = files.read_json(job.smoke)
    if not isinstance(values, dict):
        return []
    lines = [f"  {line}" for line in _answers(values)]
    lines += [f"  {line}" for line in _findings(values)]
    talk = (
        f"just chat {job.persona.name}"
        if result.endswith("Modelfile")
        else f"ollama run {result.removesuffix(':latest')}"
    )
    return ["", *lines, "", f"  talk to it: {talk}"]


def _answers(values: dict[str, Any]) -> Iterator[str]:
    """Give its answers to a greeting and to its own questions, and before each the base's."""
    shown = [values["hello"]] if values.get("hello") else []
    shown += [own for own in values["manifest"] if own["ask"] not in {one["ask"] for one in shown}]
    for one in shown[:SHOWN]:
        before = f"   (before: {_one_line(one['control'])})" if one["control"] else ""
        yield f"{one['ask']}  →  {_one_line(one['answer'])}{before}"


def _findings(values: dict[str, Any]) -> Iterator[str]:
    """Say in words what each gate found, weak ones marked, and which did not apply."""
    for own in values["manifest"]:
        if own["problem"]:
            yield f"weak: {own['ask']!r} is answered wrongly ({own['problem']}; let through by hand)"
    idle = []
    for gate in values["gates"]:
        name, verdict = gate["gate"], gate["verdict"]
        if verdict in ("off", "does not apply"):
            idle.append(f"{name} ({gate['note'] or verdict})")
        elif verdict == "fail":
            through = "let through by hand" if gate["mode"] == "stop" else "advice"
            yield f"weak: {tell(gate)} ({through}); {advice_of(name)}"
        elif verdict == "not enough evidence":
            yield f"not enough evidence whether it {tell(gate)}"
        elif name not in QUIET:
            yield tell(gate)
    endless = [one["messages"][-1]["content"] for one in values["asked"] if not one["ended"]]
    if endless:
        yield f"{len(endless)} of {len(values['asked'])} answers did not end: {_one_line(endless[0])!r}"
    if idle:
        yield f"not asked: {', '.join(idle)}"


def _one_line(text: str) -> str:
    text = " ".join(shorten(text).split())
    return text if len(text) <= 100 else f"{text[:99]}…"
