"""Examines a finished file: fidelity, the manifest's own questions, and as much of the gates' table as is asked for."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from builder import base, files, llama, weights
from builder.gates import answers, distance, fidelity, held_out, reference, stop, subject, table
from builder.gates.asking import Asker
from builder.gates.evidence import Result
from builder.gates.questions import Question
from builder.gates.table import Asked
from builder.llama import Answer, Model
from builder.manifest import Question as ManifestQuestion
from builder.stage import Job

NAME = "gates"
log = logging.getLogger("builder")
SCHEMA = 2
SPEED_TOKENS = 32
EXAMPLES = 3


@dataclass(frozen=True)
class Own:
    """A question of the manifest, asked with the served system text, and what is wrong with its answer."""

    question: ManifestQuestion
    answer: Answer
    problem: str | None


@dataclass(frozen=True)
class Examination:
    """Everything that was found."""

    share: float
    tokens_per_s: float
    results: list[Result]
    own: list[Own]
    asked: list[Asked]

    def problems(self) -> list[str]:
        """Name every failed gate with some of its answers, and every wrong answer to the manifest."""
        return list(self._problems())

    def _problems(self) -> Iterator[str]:
        for own in self.own:
            if own.problem:
                yield f"manifest: {own.question.ask!r} is answered {own.answer.text!r}: {own.problem}"
        for result in self.results:
            if result.verdict == "fail":
                share = f"{result.right} of {result.of} right, expected {result.limit:.0%} or more" if result.limit is not None and result.of and not result.figures else ""
                yield f"{result.gate}: {', '.join(filter(None, (share, result.note)))}"
                for one in [one for one in self.asked if _is_wrong(result.gate, one)][:EXAMPLES]:
                    yield f"  {one.question.text!r} is answered {one.answer.text!r}"

    def as_json(self) -> dict[str, Any]:
        """Give it as data; README's "What a build leaves" documents the schema."""
        return {
            "schema": SCHEMA,
            "share": self.share,
            "tokens_per_s": round(self.tokens_per_s, 1),
            "gates": [{**asdict(result), "interval": result.interval} for result in self.results],
            "manifest": [{"ask": own.question.ask, "answer": own.answer.text, "ended": own.answer.ended, "problem": own.problem} for own in self.own],
            "asked": [
                {
                    "gate": one.gate,
                    "messages": one.question.as_messages(),
                    "seed": one.question.seed,
                    "answer": one.answer.text,
                    "ended": one.answer.ended,
                    "is_right": one.is_right,
                    "by_file": one.by_file,
                    "least_margin_nats": min(one.answer.margins, default=None),
                    "control": one.control.text if one.control else None,
                    "control_is_right": one.control_is_right,
                }
                for one in self.asked
            ],
        }


def examine(job: Job, share: float | None) -> Examination:
    """Examine a build's file.

    Args:
        job: The persona.
        share: How much of the table is asked; None is what fits `gates.budget_s`.

    """
    chosen = base.read(job.base)
    model = Model(job.gguf)
    about = subject.read(job)
    said = reference.read(job.reference)
    owner = llama.identify(job.gguf)
    distances = distance.measure_once(model, said, job.build / ".cache" / "distances.json", f"{owner} {files.sha256(job.reference)}")
    results = [
        fidelity.judge(model, distances, chosen.family, four_bit=chosen.four_bit),
        fidelity.judge_neutral(said, distances, about.limits.retention_nats),
        held_out.judge(said, distances),
        stop.judge_end(said, distances),
    ]
    persona = Asker(model, job.build / ".cache" / "answers.json", about.max_tokens, about.sampling, owner)
    own = [_ask_own(persona, question, job.persona.manifest.ollama.system) for question in job.persona.manifest.smoke.questions]
    tokens_per_s = _measure_speed(model)
    live = answers.read(job.answers, about.max_tokens)
    share = share or table.choose_share(about, tokens_per_s, live)
    rest = ", the rest was asked of the live model" if live.persona and share < 1 else ""
    log.info("asking %.0f %% of the gates' table, about %.0f s%s", share * 100, table.predict_s(about, share, tokens_per_s), rest)
    asked = table.ask(about, share, persona, _control(chosen, job, about), live)
    results += table.judge(about, asked)
    return Examination(share, tokens_per_s, results, own, asked)


def _measure_speed(model: Model) -> float:
    prompt = model.tokenize("Once upon a time there was a")
    began_s = time.perf_counter()
    made = len(model.continue_prompt(prompt, SPEED_TOKENS).ids) or 1
    return made / (time.perf_counter() - began_s)


def _control(chosen: base.Base, job: Job, about: subject.Subject) -> Asker | None:
    path = weights.find_control(chosen)
    if path is None:
        return None
    jinja = (job.dataset / "chat_template.jinja").read_text()
    kept = files.cache_folder() / "controls" / f"{path.stem}-{chosen.revision[:12]}.json"
    return Asker(Model(path, jinja), kept, min(about.max_tokens, answers.BASE_TOKENS), about.sampling, owner=chosen.revision)


def _ask_own(persona: Asker, question: ManifestQuestion, system: str | None) -> Own:
    answer = persona.answer(Question((("user", question.ask),), ""), system)
    return Own(question, answer, _problem(question, answer))


def _problem(question: ManifestQuestion, answer: Answer) -> str | None:
    text = answer.text.casefold()
    problems = [] if answer.ended else ["did not end by itself"]
    problems += [] if text.strip() else ["is empty"]
    problems += [f"lacks {part!r}" for part in question.must if part.casefold() not in text]
    problems += [f"holds {part!r}" for part in question.must_not if part.casefold() in text]
    return ", ".join(problems) or None


def _is_wrong(gate: str, one: Asked) -> bool:
    return (one.gate == gate and not one.is_right) or (gate == "stop" and not one.answer.ended)


def run(job: Job, out: Path) -> str:
    """Ask the whole table, for `just gates`; like a stage's `run`, in a child process."""
    write(out, examine(job, 1.0))
    return str(out)


def write(path: Path, examination: Examination) -> None:
    """Write an examination as JSON."""
    path.write_text(json.dumps(examination.as_json(), ensure_ascii=False, indent=1) + "\n")
