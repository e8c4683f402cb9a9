"""Asks a file questions; answers are cached by file, prompt and seed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from builder import files, progress
from builder.data.questions import Question
from builder.evaluation import budget
from builder.evaluation.answers import Answers
from builder.evaluation.gate import Gate
from builder.evaluation.result import Answered
from builder.evaluation.subject import Subject
from builder.llama import Answer, Model

WRITE_EVERY = 20


class Answering(Protocol):
    """Something that answers questions, and may cache its answers."""

    def answer(self, question: Question, /) -> Answer:
        """Answer one question."""
        ...

    def write(self) -> None:
        """Write the answers to the cache."""
        ...


class Asker:
    """Asks a file questions, with a cache of its answers.

    Args:
        model: The file, loaded.
        cache: The path of the cache; below the user's cache folder, answers may be bundled.
        max_tokens: Tokens within which an answer must end.
        sampling: The sampling parameters, for questions with a seed.
        owner: Identifies the file's content and llama.cpp; a cache of another owner is not used.

    """

    def __init__(
        self,
        model: Model,
        *,
        cache: Path,
        max_tokens: int,
        sampling: dict[str, float],
        owner: str,
    ) -> None:
        self.model, self.cache, self.max_tokens, self.sampling = model, cache, max_tokens, sampling
        self.owner, self.new = owner, 0
        values = (
            files.read_cached(cache.parent.name, cache.name)
            if cache.is_relative_to(files.cache_folder())
            else files.read_json(cache)
        )
        values = values if isinstance(values, dict) else {}
        answers = values.get("answers") if values.get("owner") == owner else {}
        answers = answers if isinstance(answers, dict) else {}
        self.answers: dict[str, Any] = {
            key: answer for key, answer in answers.items() if _is_whole(answer)
        }

    def answer(self, question: Question) -> Answer:
        """Answer one question, from the cache if it was asked before."""
        prompt = self.model.tokenize(self.model.render(question.as_messages(), question.as_tools()))
        sampling = self._sampling_of(question)
        content = json.dumps([prompt, self.max_tokens, sampling])
        key = hashlib.sha256(content.encode()).hexdigest()[:24]
        if key not in self.answers:
            answer = self.model.continue_prompt(prompt, self.max_tokens, sampling)
            self.answers[key] = {
                "text": answer.text,
                "ended": answer.ended,
                "least_margin_nats": round(min(answer.margins), 3),
            }
            self.new += 1
            if self.new % WRITE_EVERY == 0:
                self.write()
        cached = self.answers[key]
        margins = [cached["least_margin_nats"]] if "least_margin_nats" in cached else []
        return Answer(cached["text"], [], margins, cached["ended"])

    def _sampling_of(self, question: Question) -> dict[str, float] | None:
        if question.seed is not None:
            return {**self.sampling, "seed": question.seed}
        if self.sampling.get("repeat_penalty", 1.0) != 1.0:
            return {"temperature": 0, "repeat_penalty": self.sampling["repeat_penalty"]}
        return None

    def write(self) -> None:
        """Write the cache; if the disk is full, the questions are asked again next time."""
        files.write_cached(self.cache, {"owner": self.owner, "answers": self.answers})


def _may_be_recorded(question: Question) -> bool:
    """Say whether the in-memory model answers it: greedily, and without tools."""
    return question.seed is None and not question.tools


def _is_whole(answer: Any) -> bool:
    """Say whether a cached answer is not damaged."""
    return (
        isinstance(answer, dict)
        and isinstance(answer.get("text"), str)
        and isinstance(answer.get("ended"), bool)
        and isinstance(answer.get("least_margin_nats", 0.0), float)
    )


def ask(
    gates: Sequence[Gate],
    subject: Subject,
    share: float,
    *,
    persona: Answering,
    baseline: Answering | None,
    recorded: Answers,
) -> list[Answered]:
    """Ask the gates' questions.

    Args:
        gates: The gates.
        subject: The persona.
        share: The share of the questions that the file is asked.
        persona: The file.
        baseline: Its base, which is asked the greedy questions; None if it is not available.
        recorded: Answers of the in-memory model and its base, added to those of the file.

    """
    of_file = {question for _, question in budget.plan(gates, subject, share)}
    planned = [
        (gate, question)
        for gate, question in budget.plan(gates, subject, 1.0)
        if question in of_file
        or (_may_be_recorded(question) and question.messages in recorded.persona)
    ]
    answered = []
    for number, (gate, question) in enumerate(planned):
        progress.report("asks the gates' questions", number, len(planned), "questions")
        by_file = question in of_file
        answer = persona.answer(question) if by_file else recorded.persona[question.messages]
        base_answer = None
        if question.seed is None:
            known = recorded.base.get(question.messages) if _may_be_recorded(question) else None
            base_answer = known or (baseline.answer(question) if baseline else None)
        answered.append(Answered(gate.NAME, question, answer, by_file, base_answer))
    for asker in filter(None, (persona, baseline)):
        asker.write()
    return answered
