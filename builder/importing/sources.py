"""A file or a folder read whole into conversations, whatever format its records are in."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from builder.data import records
from builder.data.records import Record
from builder.data.template import Message
from builder.errors import DataError
from builder.importing import chatgpt, chatml, pairs, questions, repository, turns
from builder.importing.conversation import Conversation

# Of a data set that the `datasets` library saved to disk.
ARROW = ".arrow"
TABLES = (".jsonl", ".json", ".csv", ".tsv", ".parquet", ARROW)
TEXTS = (".txt", ".md")
CHATGPT_FILES = "conversations*.json"
# Of Hugging Face's data sets and of ChatGPT's export, beside the rows.
METADATA = ("dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json")
# Looked at in a folder, folders in it too; it takes a second or so. A folder of notes has hundreds.
MOST_FILES = 20_000
DUPLICATES = "duplicates"
EMPTY = "records without a question or an answer"
OTHER_SPLITS = "files of other splits than train"
OTHER_TEXTS = "files without Q:"


class Format(Protocol):
    """A module that reads one format of a record."""

    NAME: str

    def recognises(self, value: dict[str, Any], /) -> bool:
        """Say whether a record is of this format."""

    def read(self, value: dict[str, Any], /) -> Conversation:
        """Read it; a ValueError says what is wrong."""


# A record is of the first that recognises it.
FORMATS: tuple[Format, ...] = (chatgpt, turns, chatml, pairs)


@dataclass(frozen=True)
class Import:
    """What was found in a file or folder."""

    source: Path
    formats: Counter[str]
    """How many records there are of each format, by its name."""
    conversations: list[list[Message]]
    left_out: Counter[str]
    """How much of each kind was not taken over."""


def read(source: Path) -> Import:
    """Read a file, or every file of a folder or a data set that holds conversations.

    Args:
        source: A file, a folder, or `hf:OWNER/NAME` of a data set on the Hugging Face hub.

    Raises:
        DataError: Something is not as its format says, or there is no conversation; all at once.
        ToolError: The hub does not give the data set.

    """
    left_out, formats = Counter[str](), Counter[str]()
    problems: list[str] = []
    found: dict[str, list[Message]] = {}
    for path in _list_files(source, left_out):
        try:
            for where, value in _read_records(path, left_out):
                try:
                    name, conversation = _read_record(value)
                except ValueError as error:
                    problems.append(f"{where}: {error}")
                    continue
                formats[questions.NAME if path.suffix in TEXTS else name] += 1
                left_out.update(conversation.left_out)
                key = json.dumps(conversation.messages)
                left_out[DUPLICATES] += key in found
                left_out[EMPTY] += not conversation.messages
                if conversation.messages:
                    found.setdefault(key, conversation.messages)
        except DataError as error:
            problems += error.problems
    if not problems and not found:
        problems.append(f"{source}: holds no question with an answer, expected at least one")
    if problems:
        raise DataError(*problems)
    return Import(source, formats, list(found.values()), +left_out)


def _list_files(source: Path, left_out: Counter[str]) -> Sequence[Path]:
    """List the files to read: of a folder those of one sort, and of its splits the training one.

    Raises:
        DataError: There is none.

    """
    if source.is_file():
        return [source]
    if str(source).startswith(repository.PREFIX):
        return repository.fetch(str(source), lambda names: _choose_tables(names, left_out))
    if not source.is_dir():
        hint = f"{repository.PREFIX}{source} is the data set of that name on the Hugging Face hub"
        is_like_one = len(source.parts) == 2 and not source.is_absolute()
        msg = f"{source}: no such file or folder, expected conversations"
        raise DataError(msg, hint=hint if is_like_one else None)
    if exported := sorted(source.glob(CHATGPT_FILES)):
        return exported
    inside = sorted(path.relative_to(source).as_posix() for path in _walk(source))
    texts = [name for name in inside if PurePosixPath(name).suffix in TEXTS]
    chosen = _choose_tables(inside, left_out) or texts
    if not chosen:
        endings = ", ".join((*TABLES, *TEXTS))
        raise DataError(f"{source}: holds no file of a known ending, expected {endings}")
    return [source / name for name in chosen]


def _choose_tables(names: Sequence[str], left_out: Counter[str]) -> list[str]:
    """Choose the tables among a folder's files: of a data set's splits the training one."""
    paths = [(name, PurePosixPath(name)) for name in sorted(names)]
    tables = [name for name, path in paths if path.suffix in TABLES and path.name not in METADATA]
    trained = [name for name in tables if "train" in name.lower()]
    if trained:
        left_out[OTHER_SPLITS] += len(tables) - len(trained)
    return trained or tables


def _walk(source: Path) -> Iterator[Path]:
    """Find the files in a folder and the folders in it, hidden ones left out.

    Raises:
        DataError: There are more than conversations come in.

    """
    seen = 0
    for at, folders, names in os.walk(source):
        folders[:] = [name for name in folders if not name.startswith(".")]
        seen += len(folders) + len(names)
        if seen > MOST_FILES:
            msg = f"{source}: holds over {MOST_FILES:,} files, expected conversations alone"
            raise DataError(msg, hint="give the file that they are in, or its folder")
        paths = (Path(at, name) for name in names if not name.startswith("."))
        # A link that may not be followed, as in /proc, is no file.
        yield from (path for path in paths if os.path.isfile(path))  # noqa: PTH113


def _read_records(path: Path, left_out: Counter[str]) -> Iterator[Record]:
    if path.suffix in TEXTS:
        found = list(questions.read(path))
        left_out[OTHER_TEXTS] += not found
        yield from found
        return
    found = list(records.read_arrow(path) if path.suffix == ARROW else records.read(path))
    if path.suffix in (".parquet", ARROW):
        # A null is not among a record's keys, and is an empty field here as in a csv.
        columns = {key for _, value in found for key in value}
        found = [(where, {**dict.fromkeys(columns), **value}) for where, value in found]
    yield from found


def _read_record(value: Any) -> tuple[str, Conversation]:
    """Read one record by the first format that recognises it.

    Raises:
        ValueError: None does, or what it holds is not as that format says.

    """
    if not isinstance(value, dict):
        raise ValueError(f"is {type(value).__name__}, expected an object")
    found = next((one for one in FORMATS if one.recognises(value)), None)
    if found is None:
        keys = ", ".join(sorted(map(str, value))) or "none"
        what = f"messages, conversations, mapping, or {pairs.describe()}"
        raise ValueError(f"has the keys {keys}, expected {what}")
    try:
        conversation = found.read(value)
    except (AttributeError, TypeError):
        # Anything may stand where the format has a text or a table.
        raise ValueError(f"is not laid out as {found.NAME}, expected its keys and values") from None
    conversation.end()
    return found.NAME, conversation
