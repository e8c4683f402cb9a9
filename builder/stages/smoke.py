"""Stage 6, smoke: ask the finished file, before anyone else can."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from builder import progress
from builder.errors import GateError
from builder.llama import Answer, Model
from builder.stage import Job

NAME = "smoke"
VERSION = 2
HEAVY = True
SCHEMA = 1
# A held-out answer may be worded otherwise, but a name it should hold must be there; one in twelve may go wrong.
HELD_OUT_SHARE = 11 / 12
# Fewer say too little of the model to stop a build: one slip of two would be half.
ENOUGH_HELD_OUT = 12


@dataclass(frozen=True)
class Check:
    """A question, and what its answer must and must not hold."""

    kind: str
    messages: list[dict[str, str]]
    must: tuple[str, ...] = ()
    must_not: tuple[str, ...] = ()


def inputs(job: Job) -> list[Path]:
    """The file, and the held-out rows."""
    return [job.gguf, job.dataset / "held_out.jsonl"]


def settings(job: Job) -> dict[str, Any]:
    """The manifest's questions, and the names to look for."""
    manifest = job.persona.manifest
    smoke = manifest.smoke.model_dump()
    return {**{f"smoke.{key}": value for key, value in smoke.items()}, "identity.name": manifest.identity.name, "identity.author": manifest.identity.author}


def output(job: Job) -> Path:
    """`smoke.json`."""
    return job.smoke


def health(_job: Job) -> str | None:
    """Nothing outside is needed."""
    return None


def run(job: Job, out: Path) -> str:
    """Ask everything, greedily, and judge.

    Raises:
        GateError: A question of the manifest, too many held-out ones or an unrelated one is answered wrongly, or an answer does not end.

    """
    model = Model(job.gguf)
    checks = list(_checks(job))
    results = []
    for number, check in enumerate(checks):
        progress.report("ask", number, len(checks), "questions")
        answer = model.ask(check.messages, job.persona.manifest.smoke.max_tokens)
        results.append({**asdict(check), "answer": answer.text, "ended": answer.ended, "problem": _judge(check, answer)})
    failures = _failures(results)
    out.write_text(json.dumps({"schema": SCHEMA, "results": results}, ensure_ascii=False, indent=1) + "\n")
    if failures:
        (job.build / "logs" / "smoke-failed.json").write_text(out.read_text())
        raise GateError(*failures, hint=f"the answers are in {job.build / 'logs' / 'smoke-failed.json'}; add rows of the kind that failed, then build again")
    return _summary(results)


def _checks(job: Job) -> Iterator[Check]:
    identity, smoke = job.persona.manifest.identity, job.persona.manifest.smoke
    for question in smoke.questions:
        yield Check("manifest", _alone(question.ask), question.must, question.must_not)
    names = (*identity.texts("name"), *identity.texts("author"))
    for line in (job.dataset / "held_out.jsonl").read_text().splitlines():
        messages = json.loads(line)["messages"]
        reply = messages[-1]["content"]
        must = tuple(name for name in names if name in reply and not any(name != other and name in other and other in reply for other in names))
        yield Check("held out", messages[:-1], must, () if must else names)
    for question in json.loads(resources.files("builder.gates").joinpath("unrelated.json").read_text()):
        yield Check("unrelated", _alone(question), (), names)


def _alone(question: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": question}]


def _judge(check: Check, answer: Answer) -> str | None:
    text = answer.text.casefold()
    if not answer.ended:
        return f"did not end within {len(answer.ids)} tokens"
    if not text.strip():
        return "is empty"
    problems = [f"lacks {part!r}" for part in check.must if part.casefold() not in text]
    problems += [f"holds {part!r}" for part in check.must_not if part.casefold() in text]
    return ", ".join(problems) or None


def _failures(results: list[dict[str, Any]]) -> list[str]:
    wrong = [result for result in results if result["problem"]]
    held = [result for result in results if result["kind"] == "held out"]
    held_wrong = [result for result in wrong if result["kind"] == "held out" and result["ended"]]
    few = len(held) < ENOUGH_HELD_OUT or len(held_wrong) <= (1 - HELD_OUT_SHARE) * len(held)
    forgiven = held_wrong if few else []
    return [f"{result['kind']}: {result['messages'][-1]['content']!r} is answered {result['answer']!r}: {result['problem']}" for result in wrong if result not in forgiven]


def _summary(results: list[dict[str, Any]]) -> str:
    def share(kind: str) -> str:
        of_kind = [result for result in results if result["kind"] == kind]
        return f"{sum(not result['problem'] for result in of_kind)} of {len(of_kind)}"

    parts = [f"{share(kind)} {kind}" for kind in ("manifest", "held out") if any(result["kind"] == kind for result in results)]
    unrelated = [result for result in results if result["kind"] == "unrelated"]
    return ", ".join([*parts, f"{sum(bool(result['problem']) for result in unrelated)} of {len(unrelated)} leaks"])
