"""What a trained model gives in memory: probabilities at fixed texts, and answers to questions.

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
    """Write the log-probabilities of the model and of its base after each token of each text."""

    def of_base(ids: list[list[int]]) -> Iterator[Any]:
        with model.disable_adapter():
            yield from log_probs(model, ids)

    model.eval()
    # No gradients, and then no adapter: compiled layers would be compiled anew for each.
    with torch.compiler.set_stance("force_eager"):
        reference.record(texts, lambda ids: log_probs(model, ids), of_base, out)


def record_answers(
    model: Any, template: Template, questions: list[Question], max_tokens: int, out: Path
) -> None:
    """Write what the model and its base answer greedily, asked in batches.

    Args:
        model: The model with its adapter, on a GPU.
        template: Writes the prompts.
        questions: What is asked.
        max_tokens: Within which an answer must end.
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
