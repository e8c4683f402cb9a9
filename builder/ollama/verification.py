"""Verifies that the daemon serves what was trained: its settings, prompts and answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from builder import progress
from builder.bases.chat_template import UNRENDERABLE
from builder.errors import GateError
from builder.gates import parity, shapes
from builder.gates.parity import Prompt
from builder.gates.shapes import Shape
from builder.llama import Answer, Model
from builder.ollama import modelfile
from builder.ollama.client import Daemon
from builder.ollama.responses import Shown
from builder.ollama.served import Served
from builder.tables import Table

if TYPE_CHECKING:
    from builder.evaluation.report import GateAnswer

# Greedy answers of two builds of llama.cpp can differ at a token with a small logit margin. For a
# SmolLM2 persona, flash attention changed one from 1.1 nats to 0.6, and Ollama 0.34.2's build to
# below zero.
SURE_MARGIN_NATS = 1.5
COMPARED_QUESTIONS = 4
COMPARED_TOKENS = 48
ROUTES = ("/api/chat", "/v1/chat/completions")
ONE_MESSAGE_ROUTE = "/api/generate"


class ComparedPrompt(Table):
    """The comparison of a prompt, rendered by one of the daemon's routes."""

    shape: str
    where: str
    tokens: int
    trained_tokens: int
    same_ids: bool
    known_difference: str | None = None
    """The name of the difference, if the ids are not the same."""


class ComparedAnswer(Table):
    """A question that the daemon answered like the file."""

    question: str
    answer: str
    least_margin_nats: float


Compared = ComparedPrompt | ComparedAnswer


def verify(
    daemon: Daemon,
    name: str,
    served: Served,
    *,
    gguf: Path,
    chat_template: str,
    own: Sequence[Shape],
    asked: Sequence[GateAnswer],
    has_read_longest: bool,
) -> list[Compared]:
    """Verify the daemon's settings, its prompt for every shape, and the surest answers.

    Args:
        daemon: The daemon.
        name: The name of the model there.
        served: What was sent to the daemon.
        gguf: The file that was uploaded.
        chat_template: The trained chat template.
        own: Shapes of the persona's own rows with tools.
        asked: The questions that the file was asked, with its answers.
        has_read_longest: Whether this daemon has read the longest prompt of this file before.

    Returns:
        The comparisons.

    Raises:
        GateError: The daemon does not serve what was trained.

    """
    _check_shown(daemon.show(name) or Shown(), served)
    model = Model(gguf)
    asked_shapes = [*shapes.list_shapes(chat_template), *own]
    sure = sure_answers(model, served, asked)
    total = len(asked_shapes) + len(sure)
    longest = max(asked_shapes, key=_count_characters)
    compared: list[Compared] = []
    for number, shape in enumerate(asked_shapes):
        progress.report("checks what Ollama serves", number, total, "prompts")
        is_read = not (has_read_longest and shape is longest)
        compared += compare_prompts(model, daemon, name, served, shape, is_read=is_read)
    for number, (messages, answer) in enumerate(sure, start=len(asked_shapes)):
        progress.report("checks what Ollama serves", number, total, "answers")
        compared.append(_compare_answer(daemon, name, messages, answer))
    return compared


def _count_characters(shape: Shape) -> int:
    return sum(len(str(message.get("content"))) for message in shape.messages)


def _check_shown(shown: Shown, served: Served) -> None:
    """Compare the settings that the daemon shows with those that were sent."""
    problems = []
    if (served.system or "") != shown.system:
        what = f"is shown with the system text {shown.system!r}"
        problems.append(f"served: {served.model}: {what}, expected {served.system!r}")
    for key, value in served.list_parameters():
        if not modelfile.is_shown(shown.parameters, key, value):
            what = f"is shown without the parameter {key} {value}"
            problems.append(f"served: {served.model}: {what}, expected every parameter")
    if problems:
        raise GateError(*problems)


def compare_prompts(
    model: Model,
    daemon: Daemon,
    name: str,
    served: Served,
    shape: Shape,
    *,
    is_read: bool = True,
) -> list[ComparedPrompt]:
    """Compare the daemon's prompt for a shape, on every route, with the ids of the trained one.

    Args:
        model: The file, loaded by llama-cpp-python.
        daemon: The daemon.
        name: The name of the model there.
        served: What was sent to the daemon.
        shape: The conversation.
        is_read: Whether the daemon must also read the prompt, which counts its tokens.

    Raises:
        GateError: They differ.

    """

    def prompt(where: str, text: str) -> Prompt:
        return Prompt(where, text, model.tokenize(text))

    full = served.add_system(shape.messages)
    try:
        trained = prompt("trained", model.render(full, shape.tools))
    except UNRENDERABLE:
        figures = parity.tell_not_rendered("Ollama")
        return [ComparedPrompt(shape=shape.name, **figures)]
    merged = prompt("trained, merged", model.render(shapes.merge_neighbours(full), shape.tools))
    has_one_message = len(shape.messages) == 1 and not shape.tools
    compared = []
    for route in (*ROUTES, *([ONE_MESSAGE_ROUTE] if has_one_message else [])):
        text = daemon.rendered_prompt(name, shape.messages, shape.tools, route)
        rendered = prompt(f"Ollama's {route}", text)
        result = parity.compare(shape, trained, rendered, model.decode, merged=merged)
        compared.append(ComparedPrompt(shape=shape.name, **result))
    if is_read:
        read_tokens = daemon.chat(name, shape.messages, 1, shape.tools).prompt_eval_count
        if read_tokens != compared[0].tokens:
            what = f"Ollama read {read_tokens} tokens of the prompt"
            msg = f"parity: {shape.name!r}: {what}, expected {compared[0].tokens}"
            raise GateError(msg, hint="the usual cause is a second BOS, or num_ctx too small")
    return compared


def sure_answers(
    model: Model, served: Served, asked: Sequence[GateAnswer]
) -> list[tuple[list[dict[str, str]], Answer]]:
    """Answer the questions with the largest logit margins, which any llama.cpp answers alike."""
    greedy = {entry.ask: entry for entry in asked if entry.seed is None and not entry.has_tools}
    margins = {
        ask: entry.least_margin_nats
        for ask, entry in greedy.items()
        if entry.least_margin_nats is not None
    }
    answers = []
    for ask in sorted(margins, key=lambda ask: -margins[ask])[:COMPARED_QUESTIONS]:
        messages = greedy[ask].messages
        prompt = model.tokenize(model.render(served.add_system(messages)))
        answer = model.continue_prompt(prompt, COMPARED_TOKENS)
        if min(answer.margins) > SURE_MARGIN_NATS:
            answers.append((messages, answer))
    return answers


def _compare_answer(
    daemon: Daemon, name: str, messages: list[dict[str, str]], answer: Answer
) -> ComparedAnswer:
    text = daemon.chat(name, messages, COMPARED_TOKENS).message.content
    question = messages[-1]["content"]
    if text.strip() != answer.text.strip():
        msg = f"served: Ollama answers {text!r} to {question!r}, expected {answer.text!r}"
        raise GateError(msg)
    margin_nats = round(min(answer.margins), 2)
    return ComparedAnswer(question=question, answer=text, least_margin_nats=margin_nats)
