"""What the live model, and its base, answered to the gates' questions: kept with the adapter, where a GPU could ask them in batches."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from builder import files
from builder.data.questions import Question
from builder.llama import Answer

SCHEMA = 1
# An untrained base seldom ends by itself: what it says first is enough to judge it by.
BASE_TOKENS = 48
Messages = tuple[tuple[str, str], ...]
Ask = Callable[[list[Question]], list[Answer]]


@dataclass(frozen=True)
class Answers:
    """Greedy answers by conversation, of the live model and of its base; none where there was no GPU."""

    persona: dict[Messages, Answer] = field(default_factory=dict)
    base: dict[Messages, Answer] = field(default_factory=dict)


def record(asked: list[Question], max_tokens: int, persona: Ask, base: Ask, out: Path) -> None:
    """Write what a live model and its base answer.

    Args:
        asked: The questions.
        max_tokens: Within which an answer must end.
        persona: Answers questions greedily, as the adapted model.
        base: Likewise, as the base alone.
        out: A JSON file to write.

    """
    said = {
        who: [
            {"messages": question.as_messages(), "answer": one.text, "ended": one.ended}
            for question, one in zip(asked, model(asked), strict=True)
        ]
        for who, model in (("persona", persona), ("base", base))
    }
    out.write_text(
        json.dumps(
            {"schema": SCHEMA, "max_tokens": max_tokens, **said}, ensure_ascii=False, indent=1
        )
        + "\n"
    )


def read(path: Path, max_tokens: int) -> Answers:
    """Read what `record` wrote; answers that were given another bound of tokens count for nothing."""
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
