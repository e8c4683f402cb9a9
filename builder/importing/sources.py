"""Reads all conversations in a file or a folder, in any known format."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

from builder import files
from builder.data import records
from builder.data.records import Record
from builder.data.template import Message
from builder.data.values import find_mistake
from builder.errors import DataError
from builder.importing import formats, questions, repository
from builder.importing.formats import Format
from builder.tables import tell_first

# Files of a data set that the `datasets` library saved to disk.
ARROW = ".arrow"
TABLES = (".jsonl", ".json", ".csv", ".tsv", ".parquet", ARROW)
TEXTS = (".txt", ".md")
CHATGPT_FILES = "conversations*.json"
# Files without rows in Hugging Face's data sets and ChatGPT's export.
METADATA = ("dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json")
# The most files in a folder, which take about a second. A folder of notes has hundreds.
MOST_FILES = 20_000
DUPLICATES = "duplicates"
EMPTY = "records without a question or an answer"
OTHER_SPLITS = "files of other splits than train"
OTHER_TEXTS = "files without Q:"
# Values without content, which can be left out silently.
BLANKS: tuple[object, ...] = (None, "", [], {})


@dataclass(frozen=True, kw_only=True)
class Import:
    """The result of reading a file or folder."""

    source: Path
    formats: Counter[str]
    """The number of records by format."""
    conversations: list[list[Message]]
    left_out: Counter[str]
    """The number of records and files that were left out, by kind; each is counted once."""
    cut: Counter[str]
    """How much was left out of conversations, by kind."""
    keys: list[str]
    """The columns or keys whose values were left out."""


@dataclass
class _Reading:
    """What has been read so far."""

    formats: Counter[str] = field(default_factory=Counter)
    conversations: dict[str, list[Message]] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)
    cut: Counter[str] = field(default_factory=Counter)
    keys: dict[str, None] = field(default_factory=dict)

    def add(self, value: dict[str, Any], found: Format, name: str) -> None:
        """Add a record, and count it once: as a conversation, a duplicate or an empty one.

        Raises:
            ValueError: It does not follow its format.

        """
        conversation = formats.read(value, found)
        self.formats[name] += 1
        key = json.dumps(conversation.messages)
        if not conversation.messages:
            self.left_out[conversation.unusable or EMPTY] += 1
        elif key in self.conversations:
            self.left_out[DUPLICATES] += 1
        else:
            self.conversations[key] = conversation.messages
            self.cut.update(conversation.left_out)
            unread = value.keys() - found.list_keys(value)
            lost = (key for key in value if key in unread and value[key] not in BLANKS)
            self.keys |= dict.fromkeys(lost)


def read(source: Path) -> Import:
    """Read the conversations of a file, a folder or a data set.

    Args:
        source: A file, a folder, or `hf:OWNER/NAME` of a data set on the Hugging Face hub.

    Raises:
        DataError: A record does not follow its format, or there is no conversation; it has all
            mistakes.
        ToolError: The data set cannot be fetched.

    """
    reading = _Reading()
    problems: list[str] = []
    for path in _list_files(source, reading.left_out):
        mistakes: dict[str, list[str]] = {}
        try:
            for where, value, mistake in _read_records(path, reading.left_out):
                if mistake:
                    mistakes.setdefault(mistake, []).append(where)
                    continue
                try:
                    found = formats.find(value)
                    name = questions.NAME if _find_ending(path) in TEXTS else found.NAME
                    reading.add(value, found, name)
                except ValueError as error:
                    mistakes.setdefault(str(error), []).append(where)
        except DataError as error:
            problems += error.problems
        problems += tell_first(list(mistakes.items()), _tell_places)
    if not problems and not reading.conversations:
        problems.append(f"{source}: contains no question with an answer, expected at least one")
    if problems:
        raise DataError(*problems)
    return Import(
        source=source,
        formats=reading.formats,
        conversations=list(reading.conversations.values()),
        left_out=+reading.left_out,
        cut=+reading.cut,
        keys=list(reading.keys),
    )


def _tell_places(mistake: tuple[str, list[str]]) -> str:
    """Describe a mistake at its first place, as a table with wrong columns has it in every row."""
    sentence, places = mistake
    more = f" (and so in {len(places) - 1:,} more)" if places[1:] else ""
    return f"{places[0]}: {sentence}{more}"


def _list_files(source: Path, left_out: Counter[str]) -> Sequence[Path]:
    """List the files to read: in a folder those of one kind, and of the training split.

    Raises:
        DataError: There are none.

    """
    if source.is_file():
        return [source]
    if str(source).startswith(repository.PREFIX):
        return repository.fetch(str(source), lambda names: _choose_tables(names, left_out))
    if not source.is_dir():
        _check_other(source)
        hint = f"{repository.PREFIX}{source} is the data set of that name on the Hugging Face hub"
        is_like_one = len(source.parts) == 2 and not source.is_absolute()
        msg = f"{source}: no such file or folder, expected conversations"
        raise DataError(msg, hint=hint if is_like_one else None)
    if exported := sorted(source.glob(CHATGPT_FILES)):
        return exported
    inside = sorted(path.relative_to(source).as_posix() for path in _walk(source))
    texts = [name for name in inside if _find_ending(PurePosixPath(name)) in TEXTS]
    chosen = _choose_tables(inside, left_out) or texts
    if not chosen:
        endings = ", ".join((*TABLES, *TEXTS))
        raise DataError(f"{source}: contains no file of a known ending, expected {endings}")
    return [source / name for name in chosen]


def _check_other(source: Path) -> None:
    """Check that a path is not a pipe, a device or a circular link, which are neither.

    Raises:
        DataError: It is.

    """
    try:
        files.check_file(source)
    except FileNotFoundError:
        return
    except ValueError as error:
        raise DataError(str(error)) from None


def _choose_tables(names: Sequence[str], left_out: Counter[str]) -> list[str]:
    """Choose the tables in a folder; of a data set, those of the training split."""
    paths = [(name, PurePosixPath(name)) for name in sorted(names)]
    tables = [
        name
        for name, path in paths
        if _find_ending(path) in TABLES and path.name.lower() not in METADATA
    ]
    trained = [name for name in tables if "train" in name.lower()]
    if trained:
        left_out[OTHER_SPLITS] += len(tables) - len(trained)
    return trained or tables


def _find_ending(path: PurePath) -> str:
    """Give a file's ending in lower case, as some programs write it in upper case."""
    return path.suffix.lower()


def _walk(source: Path) -> Iterator[Path]:
    """Find the files in a folder and its folders, without hidden ones.

    Raises:
        DataError: There are too many.

    """
    seen = 0
    for at, folders, names in os.walk(source, onerror=_refuse_closed):
        folders[:] = [name for name in folders if not name.startswith(".")]
        seen += len(folders) + len(names)
        if seen > MOST_FILES:
            msg = f"{source}: contains over {MOST_FILES:,} files, expected conversations alone"
            raise DataError(msg, hint="give the file that they are in, or its folder")
        paths = (Path(at, name) for name in names if not name.startswith("."))
        # A link that cannot be followed, as in /proc, is not a file.
        yield from (path for path in paths if os.path.isfile(path))  # noqa: PTH113


def _refuse_closed(error: OSError) -> None:
    """Refuse a folder that may not be read; one that is gone meanwhile is left out."""
    if isinstance(error, PermissionError):
        raise DataError(f"{error.filename}: {error.strerror}, expected a folder that can be read")


def _read_records(path: Path, left_out: Counter[str]) -> Iterator[Record]:
    ending = _find_ending(path)
    if ending in TEXTS:
        found = [Record(where, one, find_mistake(one)) for where, one in questions.read(path)]
        left_out[OTHER_TEXTS] += not found
        yield from found
        return
    found = list(records.read_arrow(path) if ending == ARROW else records.collect(path))
    if ending in (".parquet", ARROW):
        # A null is dropped from a record, and means an empty field, as in a csv.
        columns = {key for one in found for key in one.value}
        found = [one._replace(value={**dict.fromkeys(columns), **one.value}) for one in found]
    yield from found
