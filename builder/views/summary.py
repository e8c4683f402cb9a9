"""The summary after a build: answers, findings of the gates, and how to talk to the model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from builder.command import command, has_recipes
from builder.evaluation import report
from builder.evaluation.report import Report, shorten

SHOWN = 5


def summarize(smoke: Path, *, name: str, model: str | None) -> list[str]:
    """Describe a finished build, from smoke.json.

    Args:
        smoke: The output of the smoke stage.
        name: The persona's name.
        model: Its name in Ollama, or None without Ollama.

    """
    if not smoke.exists():
        return []
    found = report.read(smoke)
    lines = [f"  {line}" for line in (*_answers(found), *_findings(found))]
    talk = f"ollama run {model.removesuffix(':latest')}" if model else command(f"chat {name}")
    return ["", *lines, "", f"  talk to it: {talk}"]


def tell_without_ollama(name: str) -> list[str]:
    """Say what to do with a build without Ollama."""
    source = ", or with `just ollama`" if has_recipes() else ""
    return [
        f"{name} is built, but no Ollama is installed here to serve it.",
        f"Talk to it now: {command(f'chat {name}')}.",
        f"Get Ollama at ollama.com/download{source}, then build again.",
    ]


def _answers(found: Report) -> Iterator[str]:
    """List its answers to a greeting and to its own questions, with the base's answers."""
    for own in found.own[:SHOWN]:
        before = f"   (before: {_one_line(own.baseline)})" if own.baseline else ""
        yield f"{own.ask}  →  {_one_line(own.answer)}{before}"


def _findings(found: Report) -> Iterator[str]:
    """List the findings of the gates in words, weak ones marked, and those that do not apply."""
    for own in found.manifest:
        if own.problem:
            problem = f"{own.problem}; let through by --anyway"
            yield f"weak: {own.ask!r} is answered wrongly ({problem})"
    for finding in found.gates:
        if finding.verdict in ("off", "does not apply"):
            continue
        if finding.verdict == "fail":
            through = "let through by --anyway" if finding.mode == "stop" else "advice"
            yield f"weak: {finding.told} ({through}); {finding.advice}"
        elif finding.verdict == "not enough evidence":
            yield f"not enough evidence whether it {finding.told}"
        elif finding.is_told:
            yield finding.told
    endless = [answer.ask for answer in found.asked if not answer.ended]
    if endless:
        some = f"{len(endless)} of {len(found.asked)} answers"
        others = "(`stop` counts those in its data's languages)"
        yield f"{some} did not end: {_one_line(endless[0])!r} {others}"
    if idle := _list_idle(found):
        yield f"not asked: {'; '.join(idle)}"


def _list_idle(found: Report) -> list[str]:
    """List the gates that are off or do not apply, by the reason."""
    gates: dict[str, list[str]] = {}
    for finding in found.gates:
        if finding.verdict == "off" or (finding.verdict == "does not apply" and finding.note):
            gates.setdefault(finding.note or finding.verdict, []).append(finding.gate)
    return [f"{', '.join(names)} ({reason})" for reason, names in gates.items()]


def _one_line(text: str) -> str:
    text = " ".join(shorten(text).split())
    return text if len(text) <= 100 else f"{text[:99]}…"
