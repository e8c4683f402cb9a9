"""Examines a finished file: with the manifest's own questions, and with every gate it is given."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from builder import files, llama, progress
from builder.bases import base, baseline
from builder.bases.base import Base
from builder.command import command
from builder.data import dataset, languages
from builder.data.questions import Question
from builder.evaluation import answers, asker, budget, distance, reference, subject
from builder.evaluation.asker import Answering, Asker
from builder.evaluation.gate import Evidence, Gate
from builder.evaluation.report import Finding, GateAnswer, OwnAnswer, Report, WrongAnswer
from builder.evaluation.result import Answered, Mark, Result
from builder.evaluation.subject import Source, Subject
from builder.gguf.quantisation import Quantisation
from builder.llama import Answer, Model
from builder.manifest.gate_settings import Gates
from builder.manifest.manifest import Question as ManifestQuestion

log = logging.getLogger("builder")
SPEED_TOKENS = 32
EXAMPLES = 3


@dataclass(frozen=True, kw_only=True)
class Material(Source):
    """The file to examine, and what it is compared with."""

    gguf: Path
    reference: Path
    """The in-memory model's log-probabilities at the reference texts."""
    answers: Path
    """The in-memory model's answers; the file may not exist."""
    quantisation: Quantisation
    """The quantisation that the file should have."""
    questions: tuple[ManifestQuestion, ...]
    """The manifest's own questions."""
    cache: Path
    """The folder of the caches of answers and distances."""


def examine(material: Material, gates: Sequence[Gate], share: float | None) -> Report:
    """Examine a finished file.

    Args:
        material: The file, and what it is compared with.
        gates: The gates; `builder.gates.table` lists them.
        share: The share of their questions that the file is asked; None fits `gates.budget_s`.

    """
    progress.report("loads the file")
    chosen = base.read(material.base)
    model, about = Model(material.gguf), subject.describe(material)
    owner = llama.identify(material.gguf)
    recorded = reference.read(material.reference)
    distances = distance.measure_once(
        model,
        recorded,
        material.cache / "distances.json",
        f"{owner} {files.sha256(material.reference)}",
    )
    persona = Asker(
        model,
        cache=material.cache / "answers.json",
        max_tokens=about.max_tokens,
        sampling=about.sampling,
        owner=owner,
    )
    base_asker = _load_baseline(chosen, material.dataset, about)
    greeting = ManifestQuestion(ask=languages.find_greeting(about.spoken[0]))
    hello, *own = _ask_all_own(about, persona, base_asker, [greeting, *material.questions])
    tokens_per_s = _measure_speed(model)
    in_memory = answers.read(material.answers, about.max_tokens)
    share = share or budget.choose_share(gates, about, tokens_per_s, in_memory)
    rest, name = "", material.gguf.parent.name
    if share < 1:
        was_asked = "; the in-memory model answered the rest"
        rest = was_asked if in_memory.persona else f"; `{command(f'gates {name}')}` asks all"
    predicted_s = budget.predict_s(gates, about, share, tokens_per_s)
    asking = "asking %.0f %% of the gates' questions, about %.0f s%s"
    log.info(asking, share * 100, predicted_s, rest)
    answered = asker.ask(
        gates, about, share, persona=persona, baseline=base_asker, recorded=in_memory
    )
    evidence = Evidence(
        subject=about,
        base=chosen,
        quantisation=material.quantisation,
        model=model,
        reference=recorded,
        distances=distances,
        rows=dataset.read_examples(material.dataset / dataset.TRAIN),
        answered=(),
        all_answered=answered,
    )
    progress.report("judges the answers")
    findings, asked = judge(gates, evidence)
    return Report(
        share=share,
        tokens_per_s=round(tokens_per_s, 1),
        gates=findings,
        hello=hello,
        manifest=own,
        asked=asked,
    )


def judge(gates: Sequence[Gate], evidence: Evidence) -> tuple[list[Finding], list[GateAnswer]]:
    """Let each gate that is not off judge; return the findings, and every answer with its mark."""
    findings, asked = [], []
    for gate in gates:
        mode = evidence.subject.mode(gate.NAME)
        if mode == "off":
            note = _why_off(evidence.subject, gate)
            findings.append(_find(gate, evidence.subject, Result(gate.NAME, "off", note=note)))
            continue
        own = [item for item in evidence.all_answered if item.gate == gate.NAME]
        result = gate.judge(replace(evidence, answered=own))
        findings.append(_find(gate, evidence.subject, result))
        marked = zip(own, result.marks, strict=True)
        asked += [_as_gate_answer(item, mark) for item, mark in marked if mark]
    return findings, asked


def _ask_all_own(
    about: Subject,
    persona: Answering,
    baseline: Answering | None,
    questions: Sequence[ManifestQuestion],
) -> list[OwnAnswer]:
    answers = []
    for number, question in enumerate(questions):
        progress.report("asks the manifest's questions", number, len(questions), "questions")
        answers.append(ask_own(about, persona, baseline, question))
    return answers


def ask_own(
    about: Subject, persona: Answering, baseline: Answering | None, own: ManifestQuestion
) -> OwnAnswer:
    """Ask a question of the manifest, and say what is wrong with the answer."""
    question = about.serve(Question((("user", own.ask),), ""))
    answer = persona.answer(question)
    base_text = baseline.answer(question).text if baseline else None
    return OwnAnswer(own.ask, answer.text, answer.ended, base_text, _find_problem(own, answer))


def _find(gate: Gate, about: Subject, result: Result) -> Finding:
    template = gate.FAILED if result.verdict == "fail" else gate.TOLD
    told = template.format(right=result.right, of=result.of)
    if result.baseline_right is not None:
        told += f" (base: {result.baseline_right})"
    return Finding(
        gate=gate.NAME,
        verdict=result.verdict,
        mode=about.mode(gate.NAME),
        can_be_waived=Gates.has(gate.NAME),
        right=result.right,
        of=result.of,
        baseline_right=result.baseline_right,
        limit=result.limit,
        note=result.note,
        figures=result.figures,
        brief=result.brief,
        told=told,
        is_told=gate.IS_TOLD,
        advice=gate.ADVICE,
        examples=tuple(
            WrongAnswer(item.question.text, item.answer.text) for item in result.wrong[:EXAMPLES]
        ),
        missed=result.missed,
    )


def _why_off(about: Subject, gate: Gate) -> str:
    return "off in [gates]" if about.gates.is_set(gate.NAME) else f"off for {about.kind.meaning}"


def _as_gate_answer(item: Answered, mark: Mark) -> GateAnswer:
    return GateAnswer(
        gate=item.gate,
        messages=item.question.as_messages(),
        seed=item.question.seed,
        answer=item.answer.text,
        ended=item.answer.ended,
        is_right=mark.is_right,
        by_file=item.by_file,
        least_margin_nats=min(item.answer.margins, default=None),
        baseline=item.baseline.text if item.baseline else None,
        baseline_is_right=mark.baseline_is_right,
        has_tools=bool(item.question.tools),
    )


def _measure_speed(model: Model) -> float:
    """Measure how many tokens per second the file generates."""
    prompt = model.tokenize("Once upon a time there was a")
    began_s = time.perf_counter()
    tokens = len(model.continue_prompt(prompt, SPEED_TOKENS).ids) or 1
    return tokens / (time.perf_counter() - began_s)


def _load_baseline(chosen: Base, rows: Path, about: Subject) -> Asker | None:
    """Load the base's GGUF; None if it was never made on this machine."""
    path = baseline.find(chosen)
    if path is None:
        return None
    return Asker(
        Model(path, (rows / dataset.TEMPLATE).read_text("utf-8")),
        cache=files.cache_folder() / "controls" / f"{path.stem}-{chosen.revision[:12]}.json",
        max_tokens=min(about.max_tokens, answers.BASE_TOKENS),
        sampling=about.sampling,
        owner=chosen.revision,
    )


def _find_problem(question: ManifestQuestion, answer: Answer) -> str | None:
    text = answer.text.casefold()
    problems = [] if answer.ended else ["did not end by itself"]
    problems += [] if text.strip() else ["is empty"]
    problems += [f"lacks {part!r}" for part in question.must if part.casefold() not in text]
    problems += [f"contains {part!r}" for part in question.must_not if part.casefold() in text]
    return ", ".join(problems) or None
