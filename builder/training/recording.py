"""Records the in-memory model: its probabilities at fixed texts, and its answers to questions.

Only a worker that has imported `builder.training.unsloth` imports this.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from unsloth import FastLanguageModel

from builder.data.questions import Question
from builder.data.template import Template
from builder.evaluation import answers, reference
from builder.evaluation.texts import Text
from builder.llama import Answer
from builder.training import generate
from builder.training.loss import log_probs


def record_reference(model: Any, texts: list[Text], out: Path) -> None:
    """Write the log-probabilities of the model and its base after each token of each text."""

    def of_base(ids: list[list[int]]) -> Iterator[Any]:
        with model.disable_adapter():
            yield from log_probs(model, ids)

    model.eval()
    # Compiled layers would be compiled again without gradients, and again without the adapter.
    with torch.compiler.set_stance("force_eager"):
        reference.record(texts, lambda ids: log_probs(model, ids), of_base, out)


def record_answers(
    model: Any, template: Template, questions: list[Question], max_tokens: int, out: Path
) -> None:
    """Write the greedy answers of the model and its base, generated in batches.

    Args:
        model: The model with its adapter, on a GPU.
        template: Writes the prompts.
        questions: The questions.
        max_tokens: Tokens after which an answer is cut off.
        out: A JSON file to write.

    """
    FastLanguageModel.for_inference(model)

    def ask(asked: list[Question], tokens: int, how: AbstractContextManager[Any]) -> list[Answer]:
        conversations = [question.as_messages() for question in asked]
        with how:
            return generate.answer(model, template, conversations, tokens)

    base_tokens = min(max_tokens, answers.BASE_TOKENS)
    answers.record(
        questions,
        max_tokens,
        lambda asked: ask(asked, max_tokens, nullcontext()),
        lambda asked: ask(asked, base_tokens, model.disable_adapter()),
        out,
    )
