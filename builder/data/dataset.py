"""The output of the data stage: the encoded rows, their profile, and the schedule."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from builder import files
from builder.data.kinds import KINDS, Kind
from builder.data.schedule import Schedule
from builder.data.template import Message
from builder.data.tools import Tool
from builder.errors import NotBuiltError
from builder.tables import read_record

TRAIN, HELD_OUT, PROFILE, SCHEDULE = (
    "train.jsonl",
    "held_out.jsonl",
    "profile.json",
    "schedule.json",
)
TEMPLATE = "chat_template.jinja"


@dataclass(frozen=True)
class Example:
    """An encoded conversation: its ids and labels, both of length T."""

    messages: list[Message]
    input_ids: list[int]
    labels: list[int]
    """The ids that are trained on, and -100 elsewhere."""
    repeats: int = 1
    """How often it is repeated in an epoch."""
    has_system: bool = False
    """Whether it begins with the served system text."""
    tools: list[Tool] = field(default_factory=list)
    """The functions that it declares."""
    pack: str | None = None
    """Its pack; None for a row of the persona's own files."""

    @property
    def conversation(self) -> list[Message]:
        """Its messages without the served system text: the same for both forms of a row."""
        return self.messages[1:] if self.has_system else self.messages


@dataclass(frozen=True)
class Profile:
    """What the rows show about the persona, and what follows from it."""

    kind_name: str
    reason: str
    """Why it is of this kind, in words."""
    rows: int
    """Those that are trained on."""
    own_rows: int
    """Those of them that are not of a pack."""
    longest_reply_tokens: int
    longest_row_tokens: int
    """With the served system text, if it is trained with it."""
    end_of_turn: str
    """The token that ends each reply."""
    special_tokens: list[str]
    """Those that no message may hold, and no answer should."""
    is_json: bool
    """Whether its replies are JSON."""
    languages: list[str]
    """Those of the gates' languages that its replies are in, the most frequent first."""
    own_languages: list[str]
    """Those of them in which its replies hold its name or author."""
    schedule: Schedule

    @property
    def kind(self) -> Kind:
        """The record of its kind."""
        return KINDS[self.kind_name]

    def write(self, folder: Path) -> None:
        """Write it into the folder of a dataset."""
        values = asdict(self)
        files.write_json(folder / SCHEDULE, values.pop("schedule"))
        files.write_json(folder / PROFILE, values)


def read_profile(folder: Path) -> Profile:
    """Read what `Profile.write` wrote.

    Raises:
        NotBuiltError: There is none, or it is another version's.

    """
    values, schedule = files.read_json(folder / PROFILE), read_schedule(folder)
    known = {**values, "schedule": schedule} if isinstance(values, dict) else None
    profile = read_record(known, Profile)
    if profile is None or profile.kind_name not in KINDS:
        raise _unreadable(folder / PROFILE)
    return profile


def read_schedule(folder: Path) -> Schedule:
    """Read how often rows are trained on.

    Raises:
        NotBuiltError: There is none, or it is another version's.

    """
    schedule = read_record(files.read_json(folder / SCHEDULE), Schedule)
    if schedule is None:
        raise _unreadable(folder / SCHEDULE)
    return schedule


def read_template(folder: Path) -> str:
    """Read the chat template that rows were encoded with.

    Raises:
        NotBuiltError: There is none, or it is damaged.

    """
    try:
        return files.read_text(folder / TEMPLATE)
    except (FileNotFoundError, ValueError):
        raise _unreadable(folder / TEMPLATE) from None


def _unreadable(path: Path) -> NotBuiltError:
    return NotBuiltError(path, is_there=True)


def list_messages(examples: Iterable[Example], role: str) -> list[str]:
    """List all messages of one role; a call without words is left out."""
    return [
        message["content"]
        for example in examples
        for message in example.messages
        if message["role"] == role and message["content"]
    ]


def write_examples(path: Path, examples: Iterable[Example]) -> None:
    """Write examples, one a line."""
    lines = (json.dumps(asdict(example), ensure_ascii=False) + "\n" for example in examples)
    path.write_text("".join(lines), "utf-8")


def read_examples(path: Path) -> list[Example]:
    """Read what `write_examples` wrote.

    Raises:
        NotBuiltError: It is damaged.

    """
    try:
        lines = path.read_text("utf-8").split("\n")  # not splitlines: a reply can hold U+2028
        return [Example(**json.loads(line)) for line in lines if line]
    except (TypeError, ValueError):
        raise _unreadable(path) from None


def repeat(examples: Sequence[Example]) -> list[Example]:
    """List the examples of one epoch: each once, followed by the repeats."""
    most = max((example.repeats for example in examples), default=0)
    return [example for turn in range(most) for example in examples if example.repeats > turn]
