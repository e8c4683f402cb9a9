"""The questions of the gates and of replay, read from the files of all languages."""

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
    """A conversation up to its answer, and what is expected of the answer."""

    messages: tuple[tuple[str, str], ...]
    """Pairs of role and text."""
    language: str
    kind: str = ""
    about: str = ""
    """For recall: `name`, `author` or `both`."""
    must: tuple[str, ...] = ()
    """Texts of which the answer must hold one."""
    seed: int | None = None
    """The seed for sampling; None is greedy."""
    tools: str = ""
    """The functions that it declares, as JSON, or ""."""
    calls: str = ""
    """The calls in its row's answer, as JSON, or ""."""

    @property
    def text(self) -> str:
        """The user's last message."""
        return self.messages[-1][1]

    def as_messages(self) -> list[Message]:
        """Convert the conversation for a chat template."""
        return [{"role": role, "content": content} for role, content in self.messages]

    def as_tools(self) -> list[Tool] | None:
        """Convert the functions that it declares for a chat template."""
        return json.loads(self.tools) if self.tools else None

    def as_calls(self) -> list[dict[str, Any]]:
        """Convert the calls in its row's answer for a chat template."""
        return json.loads(self.calls) if self.calls else []


class Turn(Table):
    """One message of a conversation."""

    role: Literal["user", "assistant"]
    content: Text


class Line(Table):
    """A line of a question file."""

    ask: Text | None = None
    """The user's question; without it, `turns`."""
    turns: tuple[Turn, ...] = ()
    """A conversation whose first and last messages are the user's."""
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
    """A line of a courtesy file: a greeting, thanks or a goodbye, and a fitting answer."""

    ask: Text
    answer: Text


def load(name: str) -> list[Question]:
    """Read the questions of that name in all languages that have them.

    They are ordered by their hashes, so that a part of them has all kinds, and adding a question or
    a language does not change the order of the others.

    Args:
        name: The name of a gate, or `replay`.

    Raises:
        DataError: A line is wrong; the error has the mistakes of all files.

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
    """Make a question from the object of a line.

    Raises:
        DataError: A key is unknown or has a wrong type, or there is no question.

    """
    try:
        line = Line.model_validate(record)
    except ValidationError as error:
        raise DataError(*list_problems(where, Line, error)) from None
    turns = tuple((turn.role, turn.content) for turn in line.turns)
    messages = turns if line.ask is None else (("user", line.ask),)
    return Question(messages, language, kind=line.kind, about=line.about, must=line.must)


def load_courtesy(language: str) -> list[Exchange]:
    """Read the greetings, thanks and goodbyes of a language with their answers, in order.

    Raises:
        DataError: A line is not as it must be.

    """
    paths = [path for code, path in languages.list_question_files("courtesy") if code == language]
    return [
        _parse_exchange(record, where) for path in paths for where, record in records.read(path)
    ]


def part(questions: list[Question], share: float) -> list[Question]:
    """Take the first share of each language; a larger share includes a smaller one."""
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
