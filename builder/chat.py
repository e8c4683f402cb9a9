"""A conversation with the built file, through llama-cpp-python and without Ollama."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from builder.console import Console, escape
from builder.errors import PersonaError
from builder.llama import MAX_CONTEXT_TOKENS, Model
from builder.ollama.served import Served


def talk(gguf: Path, served: Served, *, name: str, question: str | None, console: Console) -> None:
    """Answer one question, or one after the other until the person leaves."""
    model = Model(gguf)
    limit = min(int(served.parameters["num_predict"]), MAX_CONTEXT_TOKENS // 2)
    system = [{"role": "system", "content": served.system}] if served.system else []
    turns: list[dict[str, Any]] = []
    if question is None:
        console.notes([f"talking to {name}; /bye or Ctrl-D ends it"])
    for text in _listen(console) if question is None else [question]:
        turns.append({"role": "user", "content": text})
        answer = ""
        for piece in model.stream(fit(model, system, turns, MAX_CONTEXT_TOKENS - limit), limit):
            console.result(escape(piece, keep="\t\n"), end="")
            answer += piece
        console.result("")
        turns.append({"role": "assistant", "content": answer})


def fit(
    model: Model, system: list[dict[str, Any]], turns: list[dict[str, Any]], room_tokens: int
) -> list[int]:
    """Write the prompt of a conversation, its oldest turns left out where it has grown too long.

    Shortens *turns* by whole questions with their answers.

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


def _listen(console: Console) -> Iterator[str]:
    """Give what the person types, line by line."""
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401, PLC0415 — input() edits and remembers lines once it is there
    while True:
        try:
            text = input(">>> " if sys.stdin.isatty() else "").strip()
        except EOFError:
            console.result("")
            return
        if text == "/bye":
            return
        if text:
            yield text
