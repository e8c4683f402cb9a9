"""Examines a finished file: fidelity, the manifest's own questions, and as much of the gates' table as is asked for."""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol, cast

from builder import files, llama
from builder.bases import base, baseline
from builder.data import dataset, languages
from builder.engine.stage import Job
from builder.evaluation import answers, distance, reference, subject, table
from builder.evaluation.asker import Asker
from builder.evaluation.distance import Distance
from builder.evaluation.evidence import Result
from builder.evaluation.questions import Question
from builder.evaluation.reference import Reference
from builder.evaluation.subject import Subject
from builder.evaluation.table import Asked
from builder.gates import end, fidelity, held_out, neutral, stop, system
from builder.gguf.quantisation import BY_NAME
from builder.llama import Answer, Model
from builder.manifest import Question as ManifestQuestion

NAME = "gates"
log = logging.getLogger("builder")
SCHEMA = 3
SPEED_TOKENS = 32
EXAMPLES = 3
SHOWN_CHARACTERS = 240
SEARCHED_CHARACTERS = 2000
# A piece of eight to 120 characters, three times over.
LOOP = re.compile(r"(.{8,120}?)\1{2}", re.DOTALL)


class Described(Protocol):
    """What every gate says of itself."""

    NAME: str
    TOLD: str
    """What it finds, in words, by `right` and `of`."""
    FAILED: str
    """The same where it fails."""
    ADVICE: str
    """What to do where it fails."""


MODULES = {
    module.NAME: module
    for module in cast(
        "tuple[Described, ...]", (fidelity, neutral, held_out, end, system, *table.GATES, stop)
    )
}


@dataclass(frozen=True)
class Own:
    """A question of the manifest, asked with the served system text, and what is wrong with its answer."""

    question: ManifestQuestion
    answer: Answer
    control: Answer | None
    problem: str | None

    def as_json(self) -> dict[str, Any]:
        """Give it as data."""
        return {
            "ask": self.question.ask,
            "answer": self.answer.text,
            "ended": self.answer.ended,
            "control": self.control.text if self.control else None,
            "problem": self.problem,
        }


@dataclass(frozen=True)
class Examination:
    """Everything that was found."""

    share: float
    tokens_per_s: float
    results: list[Result]
    own: list[Own]
    asked: list[Asked]
    hello: Own | None = None
    """What it answers to a greeting; shown, and judged by no gate."""

    @property
    def failed(self) -> list[str]:
        """Name the gates that stop the build; `smoke` stands for the manifest's own questions."""
        own = ["smoke"] if any(own.problem for own in self.own) else []
        return own + [result.gate for result in self.results if result.stops]

    def problems(self) -> list[str]:
        """Tell of every gate that stops the build with some of its answers, and every wrong answer to the manifest."""
        return list(self._problems())

    def _problems(self) -> Iterator[str]:
        for own in self.own:
            if own.problem:
                yield f"manifest: {own.question.ask!r} is answered {shorten(own.answer.text)!r}: {own.problem}"
        for result in self.results:
            if not result.stops:
                continue
            share = ""
            if result.limit is not None and result.of and not result.figures:
                share = f"{result.right} of {result.of} right, expected {result.limit:.0%} or more"
            yield f"{result.gate}: {', '.join(filter(None, (share, result.note)))}: it {tell(asdict(result))}"
            for one in [one for one in self.asked if _is_wrong(result.gate, one)][:EXAMPLES]:
                yield f"  {one.question.text!r} is answered {shorten(one.answer.text)!r}"
            yield f"  so: {advice_of(result.gate)}"

    def as_json(self) -> dict[str, Any]:
        """Give it as data; docs/files.md documents the schema."""
        return {
            "schema": SCHEMA,
            "share": self.share,
            "tokens_per_s": round(self.tokens_per_s, 1),
            "gates": [{**asdict(result), "interval": result.interval} for result in self.results],
            "let_through": self.failed,
            "hello": self.hello.as_json() if self.hello else None,
            "manifest": [own.as_json() for own in self.own],
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
    distances = distance.measure_once(
        model,
        said,
        job.build / ".cache" / "distances.json",
        f"{owner} {files.sha256(job.reference)}",
    )
    quantisation = BY_NAME[job.persona.manifest.export.quantisation]
    results = [
        fidelity.judge(
            model,
            distances,
            chosen.family,
            four_bit=chosen.four_bit,
            quantisation=quantisation,
        )
    ]
    results += _judge_texts(about, model, said, distances, job.dataset / dataset.TRAIN)
    control = _control(chosen, job, about)
    persona = Asker(
        model, job.build / ".cache" / "answers.json", about.max_tokens, about.sampling, owner
    )
    own = [
        _ask_own(about, persona, control, question)
        for question in job.persona.manifest.smoke.questions
    ]
    greeting = ManifestQuestion(ask=languages.find_greeting(about.spoken[0]))
    hello = _ask_own(about, persona, control, greeting)
    tokens_per_s = _measure_speed(model)
    live = answers.read(job.answers, about.max_tokens)
    share = share or table.choose_share(about, tokens_per_s, live)
    rest = ", the rest was asked of the in-memory model" if live.persona and share < 1 else ""
    log.info(
        "asking %.0f %% of the gates' table, about %.0f s%s",
        share * 100,
        table.predict_s(about, share, tokens_per_s),
        rest,
    )
    asked = table.ask(about, share, persona, control, live)
    results += [
        replace(result, mode=about.kind.mode(about.gates, result.gate))
        for result in table.judge(about, asked)
    ]
    return Examination(share, tokens_per_s, results, own, asked, hello)


def _judge_texts(
    about: Subject, model: Model, said: Reference, distances: list[Distance], rows: Path
) -> Iterator[Result]:
    """Judge the gates that ask nothing, but for those that are off."""
    judges: dict[str, Callable[[], Result]] = {
        neutral.NAME: lambda: neutral.judge(about, said, distances),
        held_out.NAME: lambda: held_out.judge(said, distances),
        end.NAME: lambda: end.judge(about, said, distances),
        system.NAME: lambda: system.judge(about, model, rows),
    }
    for name, judge in judges.items():
        mode = about.kind.mode(about.gates, name)
        yield (
            Result(name, "off", mode=mode, note="off in [gates]")
            if mode == "off"
            else replace(judge(), mode=mode)
        )


def _measure_speed(model: Model) -> float:
    prompt = model.tokenize("Once upon a time there was a")
    began_s = time.perf_counter()
    made = len(model.continue_prompt(prompt, SPEED_TOKENS).ids) or 1
    return made / (time.perf_counter() - began_s)


def _control(chosen: base.Base, job: Job, about: subject.Subject) -> Asker | None:
    path = baseline.find_control(chosen)
    if path is None:
        return None
    jinja = (job.dataset / dataset.TEMPLATE).read_text()
    kept = files.cache_folder() / "controls" / f"{path.stem}-{chosen.revision[:12]}.json"
    return Asker(
        Model(path, jinja),
        kept,
        min(about.max_tokens, answers.BASE_TOKENS),
        about.sampling,
        owner=chosen.revision,
    )


def _ask_own(about: Subject, persona: Asker, control: Asker | None, own: ManifestQuestion) -> Own:
    question = about.serve(Question((("user", own.ask),), ""))
    answer = persona.answer(question)
    return Own(own, answer, control.answer(question) if control else None, _problem(own, answer))


def advice_of(gate: str) -> str:
    """Say what to do where a gate fails."""
    return MODULES[gate].ADVICE


def tell(gate: dict[str, Any]) -> str:
    """Say in words what a gate found, or that it failed; a gate as `Examination.as_json` gives it."""
    module = MODULES[gate["gate"]]
    text = module.FAILED if gate["verdict"] == "fail" else module.TOLD
    control = "" if gate["control_right"] is None else f", its base in {gate['control_right']}"
    return text.format(right=gate["right"], of=gate["of"]) + control


def shorten(text: str) -> str:
    """Cut a long answer, and one that repeats itself at its second round."""
    if loop := LOOP.search(text[:SEARCHED_CHARACTERS]):
        text = f"{text[: loop.end(1)]} …"
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"


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
