"""What the in-memory model and its base answered, recorded with the adapter on a GPU."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from builder import files
from builder.data.questions import Question
from builder.llama import Answer

SCHEMA = 1
# An untrained base seldom ends by itself: its first words are enough to judge it by.
BASE_TOKENS = 48
Messages = tuple[tuple[str, str], ...]
Ask = Callable[[list[Question]], list[Answer]]


@dataclass(frozen=True)
class Answers:
    """Greedy answers by conversation, of the persona and of its base; none without a GPU."""

    persona: dict[Messages, Answer] = field(default_factory=dict)
    base: dict[Messages, Answer] = field(default_factory=dict)


def record(asked: list[Question], max_tokens: int, persona: Ask, base: Ask, out: Path) -> None:
    """Write what the in-memory model and its base answer.

    Args:
        asked: The questions.
        max_tokens: Within which an answer must end.
        persona: Answers questions greedily, as the adapted model.
        base: Likewise, as the base alone.
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
    """Read what `record` wrote; nothing where answers had another bound of tokens, or it is cut."""
    values = files.read_json(path)
    if (
        not isinstance(values, dict)
        or values.get("schema") != SCHEMA
        or values.get("max_tokens") != max_tokens
    ):
        return Answers()
    return Answers(
        *(
            {_messages(row): Answer(row["answer"], [], [], row["ended"]) for row in values[who]}
            for who in ("persona", "base")
        )
    )


def _messages(row: dict[str, list[dict[str, str]]]) -> Messages:
    return tuple((message["role"], message["content"]) for message in row["messages"])
