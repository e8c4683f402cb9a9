"""Whether a daemon serves what was trained: what it is told, and what it then shows, renders and answers."""

from __future__ import annotations

from typing import Any

from builder import progress
from builder.engine.stage import Job
from builder.errors import GateError
from builder.evaluation import report
from builder.evaluation.report import GateAnswer
from builder.gates import parity
from builder.gates.parity import Prompt
from builder.llama import Answer, Model
from builder.ollama import client, modelfile

# Greedy answers of two builds of llama.cpp part where a token's logit margin is small: flash attention alone took one of a
# SmolLM2 persona from 1.1 nats to 0.6, and Ollama 0.34.2's own build below zero.
SURE_MARGIN_NATS = 1.5
COMPARED_QUESTIONS = 4
COMPARED_TOKENS = 48


def body(served: modelfile.Served, sha256: str) -> dict[str, Any]:
    """Give the fields of `/api/create`, but for the name."""
    fields = {"template": served.template, "system": served.system, "license": served.license}
    return {
        "files": {"model.gguf": f"sha256:{sha256}"},
        "parameters": served.parameters,
        "requires": modelfile.REQUIRES,
        **{key: value for key, value in fields.items() if value is not None},
    }


def verify(
    job: Job,
    daemon: client.Daemon,
    name: str,
    served: modelfile.Served,
    *,
    has_read_longest: bool,
) -> list[dict[str, Any]]:
    """Verify a model that the daemon has: what it shows, every shape of prompt, and the surest answers.

    Args:
        job: The persona.
        daemon: Where it is.
        name: What it is called there.
        served: What the daemon was told.
        has_read_longest: Whether this daemon read the longest prompt of this file before.

    Returns:
        What was compared.

    Raises:
        GateError: The daemon serves something else than was trained.

    """
    _check_shown(daemon, name, served)
    model = Model(job.gguf)
    jinja = (job.dataset / "chat_template.jinja").read_text()
    shapes = parity.shapes(jinja)
    sure = sure_answers(model, served, report.read(job.smoke).asked)
    total = len(shapes) + len(sure)
    longest = max(
        shapes,
        key=lambda shape: sum(len(str(message.get("content"))) for message in shape.messages),
    )
    compared = []
    for number, shape in enumerate(shapes):
        progress.report("verify", number, total, "prompts")
        compared += compare_prompts(
            model, daemon, name, served, shape, is_read=not (has_read_longest and shape is longest)
        )
    for number, (messages, answer) in enumerate(sure, start=len(shapes)):
        progress.report("verify", number, total, "answers")
        compared.append(_compare_answer(daemon, name, messages, answer))
    return compared


def _check_shown(daemon: client.Daemon, name: str, served: modelfile.Served) -> None:
    """Compare what the daemon says it keeps with what it was told."""
    shown = daemon.show(name) or {}
    problems = []
    if (served.system or "") != shown.get("system", ""):
        what = f"is shown with the system text {shown.get('system', '')!r}"
        problems.append(f"served: {served.model}: {what}, expected {served.system!r}")
    kept = str(shown.get("parameters", ""))
    for key, value in modelfile.lines(served):
        if not modelfile.is_shown(kept, key, value):
            what = f"keeps no parameter {key} {value}"
            problems.append(f"served: {served.model}: {what}, expected it")
    if problems:
        raise GateError(*problems)


def _with_system(served: modelfile.Served, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return (
        messages
        if not served.system or messages[0]["role"] == "system"
        else [{"role": "system", "content": served.system}, *messages]
    )


def compare_prompts(
    model: Model,
    daemon: client.Daemon,
    name: str,
    served: modelfile.Served,
    shape: parity.Shape,
    *,
    is_read: bool = True,
) -> list[dict[str, Any]]:
    """Compare the daemon's prompt for a shape, on every route, with the trained one, token for token."""

    def prompt(where: str, text: str) -> Prompt:
        return Prompt(where, text, model.tokenize(text))

    full = _with_system(served, shape.messages)
    trained = prompt("trained", model.render(full, shape.tools))
    merged = prompt("trained, merged", model.render(parity.merge_neighbours(full), shape.tools))
    routes = ["/api/chat", "/v1/chat/completions"] + (
        ["/api/generate"] if len(shape.messages) == 1 and not shape.tools else []
    )
    rows = []
    for route in routes:
        theirs = prompt(
            f"Ollama's {route}", daemon.rendered_prompt(name, shape.messages, shape.tools, route)
        )
        rows.append(
            {"shape": shape.name, **parity.compare(shape, trained, theirs, model.decode, merged)}
        )
    if not is_read:
        return rows
    counted = daemon.chat(name, shape.messages, 1, shape.tools).get("prompt_eval_count")
    if counted != rows[0]["tokens"]:
        msg = f"parity: {shape.name!r}: Ollama read {counted} tokens of a prompt of {rows[0]['tokens']}, expected every one"
        raise GateError(msg, hint="the usual cause is a second BOS, or num_ctx too small")
    return rows


def sure_answers(
    model: Model, served: modelfile.Served, asked: list[GateAnswer]
) -> list[tuple[list[dict[str, str]], Answer]]:
    """Give the questions that the file answers most surely, where another build of llama.cpp must answer the same."""
    greedy = {
        answer.ask: (answer.least_margin_nats, answer.messages)
        for answer in asked
        if answer.seed is None and answer.least_margin_nats is not None
    }
    surest = sorted(greedy.values(), key=lambda pair: -pair[0])[:COMPARED_QUESTIONS]
    answers = [
        (
            messages,
            model.continue_prompt(
                model.tokenize(model.render(_with_system(served, messages))), COMPARED_TOKENS
            ),
        )
        for _, messages in surest
    ]
    return [
        (messages, answer) for messages, answer in answers if min(answer.margins) > SURE_MARGIN_NATS
    ]


def _compare_answer(
    daemon: client.Daemon, name: str, messages: list[dict[str, str]], answer: Answer
) -> dict[str, Any]:
    text = str(daemon.chat(name, messages, COMPARED_TOKENS)["message"]["content"])
    if text.strip() != answer.text.strip():
        question = messages[-1]["content"]
        msg = f"served: Ollama answers {text!r} to {question!r}, expected {answer.text!r}"
        raise GateError(msg)
    return {
        "question": messages[-1]["content"],
        "answer": text,
        "least_margin_nats": round(min(answer.margins), 2),
    }
