"""A conversation with the built file, through llama-cpp-python and without Ollama."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

from builder.console import Console
from builder.engine.stage import Job
from builder.errors import PersonaError
from builder.llama import MAX_CONTEXT_TOKENS, Model
from builder.ollama import served


def talk(job: Job, question: str | None, console: Console) -> None:
    """Answer one question, or one after the other until the person leaves."""
    decided = served.read(
        job.base,
        job.dataset,
        model=job.persona.model,
        ollama=job.persona.manifest.ollama,
        kind=job.persona.manifest.data.template,
    )
    model = Model(job.gguf)
    limit = min(int(decided.parameters["num_predict"]), MAX_CONTEXT_TOKENS // 2)
    system = [{"role": "system", "content": decided.system}] if decided.system else []
    turns: list[dict[str, Any]] = []
    if question is None:
        console.notes([f"talking to {job.persona.name}; /bye or Ctrl-D ends it"])
    for said in _listen() if question is None else [question]:
        turns.append({"role": "user", "content": said})
        answer = ""
        for piece in model.stream(fit(model, system, turns, MAX_CONTEXT_TOKENS - limit), limit):
            print(piece, end="", flush=True)  # noqa: T201 — the result
            answer += piece
        print()  # noqa: T201
        turns.append({"role": "assistant", "content": answer})


def fit(
    model: Model, system: list[dict[str, Any]], turns: list[dict[str, Any]], room_tokens: int
) -> list[int]:
    """Write the prompt of a conversation, its oldest questions and answers forgotten where it has grown too long.

    Raises:
        PersonaError: The last question alone is too long.

    """
    prompt = model.tokenize(model.render([*system, *turns]))
    while len(prompt) > room_tokens:
        if len(turns) == 1:
            msg = f"the question is {len(prompt)} tokens long, expected at most {room_tokens}"
            raise PersonaError(msg)
        del turns[:2]
        prompt = model.tokenize(model.render([*system, *turns]))
    return prompt


def _listen() -> Iterator[str]:
    """Give what the person types, line by line."""
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401, PLC0415 — input() edits and remembers lines once it is there
    while True:
        try:
            said = input(">>> " if sys.stdin.isatty() else "").strip()
        except EOFError:
            print()  # noqa: T201
            return
        if said == "/bye":
            return
        if said:
            yield said
