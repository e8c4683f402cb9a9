"""Stamps: what each output of a build was made from, beside the message of a stage that failed.

A stamp is a JSON file in `.stamps/` of the build's folder, so that it travels with the build.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from builder import files
from builder.engine.spans import Span, read_spans

FOLDER = ".stamps"
SCHEMA = 2
# More than any stage takes.
MOST_S = 1e15
# The keys that a stamp must hold, and their types. A file without them is not a stamp.
NEEDED = {"version": int, "settings": dict, "inputs": dict, "output": str, "summary": str}


@dataclass(frozen=True)
class Description:
    """What decides a stage's output: its version, its settings, and the content of its files."""

    version: int
    settings: dict[str, Any]
    inputs: dict[str, str | None]
    """Hashes by the names that reasons use; None for a file that does not exist."""
    dropped: dict[str, str] = field(default_factory=dict, compare=False)
    """Settings that another setting drops, and the name of that one. Used in reasons only."""

    def as_json(self) -> dict[str, Any]:
        """Give what decides the output as a stamp holds it."""
        decides = {"version": self.version, "settings": self.settings, "inputs": self.inputs}
        return {"schema": SCHEMA, **decides}

    def key(self) -> str:
        """Hash it to a short name for a scratch folder."""
        text = json.dumps(self.as_json(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Stamp:
    """What an output was made from, its hash, and how it was made."""

    description: Description
    output: str
    """The hash of the output."""
    summary: str
    """The line that the stage printed."""
    took_s: float | None
    """How long the stage ran; None if the stamp does not say."""
    tools: dict[str, str]
    """Versions of the libraries that were installed."""
    spans: tuple[Span, ...] = ()
    """How long each piece of its work took; empty if it reported no progress."""


def path(folder: Path, stage: str) -> Path:
    """Give the path of a stage's stamp, for a build in *folder*."""
    return folder / FOLDER / f"{stage}.json"


def failure_path(folder: Path, stage: str) -> Path:
    """Give the path of a stage's last failure. The file exists only if its last run failed."""
    return folder / FOLDER / f"{stage}.failed"


def list_changes(folder: Path) -> set[tuple[str, int]]:
    """List the stamps and failures of the build in *folder*, with their times of change in ns.

    The list differs once a stage has finished or failed.
    """
    changes = set()
    for path in (folder / FOLDER).glob("[!.]*"):
        with suppress(FileNotFoundError):  # another process builds it
            changes.add((path.name, path.stat().st_mtime_ns))
    return changes


def read(folder: Path, stage: str) -> Stamp | None:
    """Read a stage's stamp; None if there is none, or it is incomplete or of another schema."""
    values = files.read_json(path(folder, stage))
    if not isinstance(values, dict) or values.get("schema") != SCHEMA:
        return None
    if not all(isinstance(values.get(name), kind) for name, kind in NEEDED.items()):
        return None
    return Stamp(
        Description(
            values["version"],
            values["settings"],
            values["inputs"],
            dropped if isinstance(dropped := values.get("dropped"), dict) else {},
        ),
        values["output"],
        values["summary"],
        _read_seconds(values.get("took_s")),
        tools if isinstance(tools := values.get("tools"), dict) else {},
        read_spans(values.get("spans")),
    )


def _read_seconds(value: Any) -> float | None:
    """Read a time; None for what is none, such as NaN."""
    return float(value) if isinstance(value, int | float) and 0 <= value <= MOST_S else None


def is_of_other_schema(folder: Path, stage: str) -> bool:
    """Say whether another version of this project wrote the stamp."""
    values = files.read_json(path(folder, stage))
    return isinstance(values, dict) and values.get("schema") != SCHEMA


def write(folder: Path, stage: str, stamp: Stamp) -> None:
    """Write a stage's stamp."""
    dropped = stamp.description.dropped
    values = {
        **stamp.description.as_json(),
        **({"dropped": dropped} if dropped else {}),
        "output": stamp.output,
        "summary": stamp.summary,
        "took_s": stamp.took_s,
        "spans": [span.model_dump() for span in stamp.spans],
        "tools": stamp.tools,
    }
    files.write_json(path(folder, stage), values)


def note_failure(folder: Path, stage: str, message: str) -> None:
    """Write the first line of a failure, so that the next reason can quote it."""
    noted = failure_path(folder, stage)
    with suppress(OSError):  # a full disk: the failure itself is still reported
        noted.parent.mkdir(parents=True, exist_ok=True)
        first = message.splitlines()[0] + "\n"
        with files.replacing(noted) as temporary:
            temporary.write_text(first, "utf-8", errors="backslashreplace")


def read_failure(folder: Path, stage: str) -> str | None:
    """Read the first line of a stage's last failure; None if its last run did not fail.

    It is "" if there was a failure whose message cannot be read.
    """
    try:
        return files.read_text(failure_path(folder, stage)).strip()
    except FileNotFoundError:
        return None
    except ValueError:
        return ""
