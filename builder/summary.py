"""What a person reads at the end of a build: its answers, what is weak, and how to talk to it."""

from __future__ import annotations

from collections.abc import Iterator

from builder.engine.stage import Job
from builder.evaluation import report
from builder.evaluation.report import Report, shorten

SHOWN = 5


def summarize(job: Job, result: str) -> list[str]:
    """Tell of a finished build, from smoke.json.

    Args:
        job: The persona.
        result: The name in Ollama, or the Modelfile's path where there is no Ollama.

    """
    if not job.smoke.exists():
        return []
    found = report.read(job.smoke)
    lines = [f"  {line}" for line in (*_answers(found), *_findings(found))]
    talk = (
        f"just chat {job.persona.name}"
        if result.endswith("Modelfile")
        else f"ollama run {result.removesuffix(':latest')}"
    )
    return ["", *lines, "", f"  talk to it: {talk}"]


def _answers(found: Report) -> Iterator[str]:
    """Give its answers to a greeting and to its own questions, and before each the base's."""
    shown = [found.hello] if found.hello else []
    shown += [own for own in found.manifest if own.ask not in {hello.ask for hello in shown}]
    for own in shown[:SHOWN]:
        before = f"   (before: {_one_line(own.baseline)})" if own.baseline else ""
        yield f"{own.ask}  →  {_one_line(own.answer)}{before}"


def _findings(found: Report) -> Iterator[str]:
    """Say in words what each gate found, weak ones marked, and which did not apply."""
    for own in found.manifest:
        if own.problem:
            problem = f"{own.problem}; let through by hand"
            yield f"weak: {own.ask!r} is answered wrongly ({problem})"
    idle = []
    for finding in found.gates:
        if finding.verdict in ("off", "does not apply"):
            idle.append(f"{finding.gate} ({finding.note or finding.verdict})")
        elif finding.verdict == "fail":
            through = "let through by hand" if finding.mode == "stop" else "advice"
            yield f"weak: {finding.told} ({through}); {finding.advice}"
        elif finding.verdict == "not enough evidence":
            yield f"not enough evidence whether it {finding.told}"
        elif finding.is_told:
            yield finding.told
    endless = [answer.ask for answer in found.asked if not answer.ended]
    if endless:
        some = f"{len(endless)} of {len(found.asked)} answers"
        yield f"{some} did not end: {_one_line(endless[0])!r}"
    if idle:
        yield f"not asked: {', '.join(idle)}"


def _one_line(text: str) -> str:
    text = " ".join(shorten(text).split())
    return text if len(text) <= 100 else f"{text[:99]}…"
