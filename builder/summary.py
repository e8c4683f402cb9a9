"""What a person reads after a build: what it answers, what is weak, and how to talk to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from builder import files
from builder.command import command, has_recipes
from builder.evaluation.examination import advice_of, shorten, tell

# Gates that verify the chain; a person reads of them only where they fail.
QUIET = ("fidelity", "end", "stop", "neutral")
SHOWN = 5


def summarize(smoke: Path, *, name: str, model: str | None) -> list[str]:
    """Describe a finished build, from smoke.json.

    Args:
        smoke: What the smoke stage wrote.
        name: The persona's name.
        model: Its name in Ollama, or None where there is no Ollama.

    """
    values = files.read_json(smoke)
    if not isinstance(values, dict):
        return []
    lines = [f"  {line}" for line in _answers(values)]
    lines += [f"  {line}" for line in _findings(values)]
    talk = f"ollama run {model.removesuffix(':latest')}" if model else command(f"chat {name}")
    return ["", *lines, "", f"  talk to it: {talk}"]


def tell_without_ollama(name: str) -> list[str]:
    """Say what to do with a build where there is no Ollama to serve it."""
    source = ", or with `just ollama`" if has_recipes() else ""
    return [
        f"{name} is built, but no Ollama is installed here to serve it.",
        f"Talk to it now: {command(f'chat {name}')}.",
        f"Get Ollama at ollama.com/download{source}, then build again.",
    ]


def _answers(values: dict[str, Any]) -> Iterator[str]:
    """Give the answers to a greeting and the manifest's questions, each with the baseline's."""
    hello = [values["hello"]] if values.get("hello") else []
    asked = {answer["ask"] for answer in hello}
    answers = hello + [answer for answer in values["manifest"] if answer["ask"] not in asked]
    for answer in answers[:SHOWN]:
        before = f"   (before: {_one_line(answer['control'])})" if answer["control"] else ""
        yield f"{answer['ask']}  →  {_one_line(answer['answer'])}{before}"


def _findings(values: dict[str, Any]) -> Iterator[str]:
    """Say in words what each gate found, weak ones marked, and which did not apply."""
    for answer in values["manifest"]:
        if problem := answer["problem"]:
            yield f"weak: {answer['ask']!r} is answered wrongly ({problem}; let through by hand)"
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
    asked = values["asked"]
    endless = [answer["messages"][-1]["content"] for answer in asked if not answer["ended"]]
    if endless:
        yield f"{len(endless)} of {len(asked)} answers did not end: {_one_line(endless[0])!r}"
    if idle:
        yield f"not asked: {', '.join(idle)}"


def _one_line(text: str) -> str:
    text = " ".join(shorten(text).split())
    return text if len(text) <= 100 else f"{text[:99]}…"
