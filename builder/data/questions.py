"""The questions that gates and replay ask, read from the files of every language."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from builder.data import languages, records
from builder.data.template import Message
from builder.data.tools import Tool
from builder.errors import DataError
from builder.tables import Table, list_problems

Text = Annotated[str, Field(min_length=1)]


@dataclass(frozen=True)
class Question:
    """A conversation that awaits its answer, and what its file says of the answer."""

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
    tools: str = ""
    """JSON of the functions that it declares; empty where it declares none."""
    calls: str = ""
    """JSON of the calls with which its row answers; empty where it answers in words."""

    @property
    def text(self) -> str:
        """What the user says last."""
        return self.messages[-1][1]

    def as_messages(self) -> list[Message]:
        """Give the conversation as a chat template takes it."""
        return [{"role": role, "content": content} for role, content in self.messages]

    def as_tools(self) -> list[Tool] | None:
        """Give the functions that it declares as a chat template takes them."""
        return json.loads(self.tools) if self.tools else None

    def as_calls(self) -> list[dict[str, Any]]:
        """Give the calls with which its row answers as a chat template takes them."""
        return json.loads(self.calls) if self.calls else []


class Turn(Table):
    """One message of a conversation."""

    role: Literal["user", "assistant"]
    content: Text


class Line(Table):
    """A line of a question file."""

    ask: Text | None = None
    """What the user asks, or else `turns`."""
    turns: tuple[Turn, ...] = ()
    """A conversation that the user begins and ends."""
    kind: str = ""
    about: Literal["", "name", "author", "both"] = ""
    must: tuple[Text, ...] = ()

    @model_validator(mode="after")
    def _asks_once(self) -> Line:
        if (self.ask is None) == (not self.turns):
            msg = "asks nothing or twice, expected one of ask and turns"
            raise ValueError(msg)
        roles = [turn.role for turn in self.turns]
        if any(role != ("user", "assistant")[number % 2] for number, role in enumerate(roles)) or (
            roles and roles[-1] != "user"
        ):
            msg = (
                f"turns are of {', '.join(roles)}, expected user and assistant by turns, user last"
            )
            raise ValueError(msg)
        return self


class Exchange(Table):
    """A line of a courtesy file: what a person says out of courtesy, and a fitting answer."""

    ask: Text
    answer: Text


def load(name: str) -> list[Question]:
    """Read some questions in every language that has them.

    They are ordered by a hash of each, so that a part of them is of every kind, and so that
    neither another question nor another language changes the order of the rest.

    Args:
        name: The gate that asks them, or `replay`.

    Raises:
        DataError: A line is not as it must be; all mistakes of all files at once.

    """
    questions: list[Question] = []
    problems: list[str] = []
    for language, path in languages.list_question_files(name):
        for where, record in records.read(path):
            try:
                questions.append(parse(record, language, where))
            except DataError as error:
                problems += error.problems
    if problems:
        raise DataError(*problems)
    return sorted(questions, key=_hash)


def parse(record: Any, language: str, where: str) -> Question:
    """Make a question of a line's object.

    Raises:
        DataError: A key is unknown or of another type, or nothing is asked.

    """
    try:
        line = Line.model_validate(record)
    except ValidationError as error:
        raise DataError(*list_problems(where, Line, error)) from None
    turns = tuple((turn.role, turn.content) for turn in line.turns)
    messages = turns if line.ask is None else (("user", line.ask),)
    return Question(messages, language, kind=line.kind, about=line.about, must=line.must)


def load_courtesy(language: str) -> list[Exchange]:
    """Read a language's greetings, thanks and goodbyes with their answers, in the file's order.

    Raises:
        DataError: A line is not as it must be.

    """
    paths = [path for code, path in languages.list_question_files("courtesy") if code == language]
    return [
        _parse_exchange(record, where) for path in paths for where, record in records.read(path)
    ]


def part(questions: list[Question], share: float) -> list[Question]:
    """Take the first share of each language; a larger share contains the smaller one."""
    taken = []
    for language in sorted({question.language for question in questions}):
        spoken = [question for question in questions if question.language == language]
        taken += spoken[: max(1, round(share * len(spoken)))]
    return taken


def _parse_exchange(record: Any, where: str) -> Exchange:
    try:
        return Exchange.model_validate(record)
    except ValidationError as error:
        raise DataError(*list_problems(where, Exchange, error)) from None


def _hash(question: Question) -> bytes:
    return hashlib.sha256(repr(question.messages).encode()).digest()
