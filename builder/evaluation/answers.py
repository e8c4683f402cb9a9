"""The answers of the in-memory model and its base, recorded on a GPU after training."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from builder import files
from builder.data.questions import Question
from builder.llama import Answer

SCHEMA = 1
# An untrained base seldom ends by itself: the beginning of its answer is enough to judge it.
BASE_TOKENS = 48
Messages = tuple[tuple[str, str], ...]
Ask = Callable[[list[Question]], list[Answer]]


@dataclass(frozen=True)
class Answers:
    """Greedy answers of the persona and of its base, by conversation; empty without a GPU."""

    persona: dict[Messages, Answer] = field(default_factory=dict)
    base: dict[Messages, Answer] = field(default_factory=dict)


def record(asked: list[Question], max_tokens: int, persona: Ask, base: Ask, out: Path) -> None:
    """Write the answers of the in-memory model and its base.

    Args:
        asked: The questions.
        max_tokens: Tokens within which an answer must end.
        persona: Answers questions greedily with the adapted model.
        base: Answers questions greedily with the base alone.
        out: A JSON file to write.

    """
    answers = {
        who: [
            {"messages": question.as_messages(), "answer": answer.text, "ended": answer.ended}
            for question, answer in zip(asked, model(asked), strict=True)
        ]
        for who, model in (("persona", persona), ("base", base))
    }
    values = {"schema": SCHEMA, "max_tokens": max_tokens, **answers}
    out.write_text(json.dumps(values, ensure_ascii=False, indent=1) + "\n", "utf-8")


def read(path: Path, max_tokens: int) -> Answers:
    """Read what `record` wrote; empty if it is damaged, or was written with other `max_tokens`."""
    values = files.read_json(path)
    if (
        not isinstance(values, dict)
        or values.get("schema") != SCHEMA
        or values.get("max_tokens") != max_tokens
    ):
        return Answers()
    try:
        persona, base = (
            {_messages(row): Answer(row["answer"], [], [], row["ended"]) for row in values[who]}
            for who in ("persona", "base")
        )
    except (KeyError, TypeError):
        return Answers()
    return Answers(persona, base)


def _messages(row: dict[str, list[dict[str, str]]]) -> Messages:
    return tuple((message["role"], message["content"]) for message in row["messages"])
