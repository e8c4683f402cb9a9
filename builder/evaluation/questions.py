"""The questions as data: read from the files beside this, checked, and always in the same order."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from importlib import resources
from typing import Any

from builder.errors import ToolError

Message = dict[str, str]
KEYS = {"language", "ask", "turns", "about", "kind", "must"}


@dataclass(frozen=True)
class Question:
    """One question, and what its file says of the answer."""

    messages: tuple[tuple[str, str], ...]
    """Pairs of role and text."""
    language: str
    kind: str = ""
    about: str = ""
    """For recall: `name`, `author` or `both`."""
    must: tuple[str, ...] = ()
    """Texts of which the answer holds one."""
    seed: int | None = None
    """How the answer is sampled; None is greedy."""

    @property
    def text(self) -> str:
        """What the user says last."""
        return self.messages[-1][1]

    def as_messages(self) -> list[Message]:
        """Give the conversation as a chat template takes it."""
        return [{"role": role, "content": content} for role, content in self.messages]


def load(name: str, package: str = "builder.gates") -> list[Question]:
    """Read a gate's questions, shuffled by their own hash, so that a part of them is of every kind.

    Raises:
        ToolError: A line is not as a question must be.

    """
    text = resources.files(package).joinpath(f"{name}.jsonl").read_text("utf-8")
    questions = [
        parse(json.loads(line), f"{package.replace('.', '/')}/{name}.jsonl:{number}")
        for number, line in enumerate(text.splitlines(), 1)
    ]
    return sorted(
        questions, key=lambda question: hashlib.sha256(repr(question.messages).encode()).digest()
    )


def parse(value: dict[str, Any], where: str) -> Question:
    """Make a question of a line's object.

    Raises:
        ToolError: A key is unknown, or nothing is asked.

    """
    unknown = sorted(set(value) - KEYS)
    if unknown or ("ask" in value) == ("turns" in value) or "language" not in value:
        what = (
            f"unknown key {unknown[0]!r}"
            if unknown
            else "holds " + (", ".join(sorted(value)) or "nothing")
        )
        raise ToolError(
            f"{where}: {what}, expected language, one of ask and turns, and of {', '.join(sorted(KEYS))} no other"
        )
    turns = [(turn["role"], turn["content"]) for turn in value.get("turns", [])] or [
        ("user", value["ask"])
    ]
    return Question(
        tuple(turns),
        value["language"],
        value.get("kind", ""),
        value.get("about", ""),
        tuple(value.get("must", ())),
    )


def part(questions: list[Question], share: float) -> list[Question]:
    """Take the first share of each language; a larger share holds the smaller one."""
    kept = []
    for language in sorted({question.language for question in questions}):
        spoken = [question for question in questions if question.language == language]
        kept += spoken[: max(1, round(share * len(spoken)))]
    return kept
