"""What a stage is: a module with declared inputs, an output, and a function of those inputs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import Field, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Protocol

from pydantic import BaseModel

from builder.machine import Machine


@dataclass(frozen=True)
class File:
    """A file that is compared by its content."""

    path: Path


@dataclass(frozen=True)
class Tree:
    """A folder that is compared by its files' names and contents."""

    path: Path


@dataclass(frozen=True)
class Work:
    """Where a stage writes, and the machine that it runs on."""

    out: Path
    """The output; it is moved into place when the stage is done."""
    scratch: Path
    """Kept between tries with the same inputs, so that an interrupted stage can resume."""
    machine: Machine


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """How far a try came that was cut short, where the next one goes on from there."""

    done: int
    of: int
    unit: str = "step"

    def describe(self) -> str:
        """Say where the next try begins."""
        return f"goes on from {self.unit} {self.done} of {self.of}"


class Build(Protocol):
    """What the engine needs to know of a build."""

    @property
    def name(self) -> str:
        """What is built."""
        ...

    @property
    def folder(self) -> Path:
        """Where all outputs lie."""
        ...

    @property
    def roots(self) -> tuple[Path, ...]:
        """The folders that inputs are named from in a reason, the innermost first."""
        ...

    @property
    def machine(self) -> Machine:
        """The machine that the build runs on."""
        ...

    @property
    def is_discarding(self) -> bool:
        """Whether an output that was edited by hand may be overwritten."""
        ...


class Stage(Protocol):
    """The names that a stage module has.

    Each function but `run` is quick and imports nothing heavy.
    A module takes its own kind of build, and its `run` takes what its `inputs` gives.
    """

    @property
    def NAME(self) -> str:  # noqa: N802 — a module's constant
        """What a person reads."""
        ...

    @property
    def WORDS(self) -> str:  # noqa: N802
        """What the stage does, in a user's words."""
        ...

    @property
    def VERSION(self) -> int:  # noqa: N802
        """Raised when equal inputs must give another output."""
        ...

    def inputs(self, build: Any, /) -> Any:
        """Declare all that decides the output, as a frozen dataclass.

        A `File` or a `Tree` is compared by content, any other field as JSON, and a field with
        `compare=False` not at all: it may not change what is written.
        """
        ...

    def output(self, build: Any, /) -> Path:
        """Say where the output is published."""
        ...

    def check(self, build: Any, /) -> None:
        """Raise, before any stage runs, what would keep this one from finishing."""
        ...

    def health(self, build: Any, /) -> str | None:
        """Say what the outside world no longer has, or None."""
        ...

    def unavailable(self, build: Any, /) -> str | None:
        """Say why the stage cannot run on this machine, or None."""
        ...

    def note(self, build: Any, /) -> None:
        """Note, after the output is published, what later builds must know of it."""
        ...

    def checkpoint(self, build: Any, scratch: Path, /) -> Checkpoint | None:
        """Say how far a try came that was cut short, from what it left in its scratch folder."""
        ...

    def worker(self, build: Any, /) -> str | None:
        """Name the module that its worker process imports first; None is the main process.

        Stages of one worker that follow each other share a process.
        """
        ...

    def run(self, inputs: Any, work: Work, /) -> str:
        """Write the output to `work.out` and nowhere else; return the line that a person sees."""
        ...


def nothing_to_check(_build: Any, /) -> None:
    """Stand in for `check` where nothing can be told early."""


def always_healthy(_build: Any, /) -> str | None:
    """Stand in for `health` where the output depends on nothing outside."""
    return None


def always_available(_build: Any, /) -> str | None:
    """Stand in for `unavailable` where the stage runs on any machine."""
    return None


def nothing_to_note(_build: Any, /) -> None:
    """Stand in for `note` where the output says it all."""


def never_resumed(_build: Any, _scratch: Path, /) -> None:
    """Stand in for `checkpoint` where a stage that was cut short begins anew."""


def main_process(_build: Any, /) -> None:
    """Stand in for `worker` where a stage is light."""


def shown_as(name: str) -> Any:
    """Declare an input that a reason calls by another name than its field's."""
    return field(metadata={"name": name})


def maybe_file() -> Any:
    """Declare a file or folder that need not be there; None compares as if it were not declared."""
    return field(metadata={"is_file": True})


def dropped_settings() -> Any:
    """Declare which settings another one drops: by the name of each, the name of that other.

    What is compared is what a stage is given; a reason names what a person changed.
    """
    return field(compare=False, metadata={"is_dropped": True})


def not_compared() -> Any:
    """Declare an input that may not change what is written: a permission, or where a cache lies."""
    return field(compare=False)


def list_files(inputs: Any) -> list[File | Tree]:
    """List the files and folders among declared inputs."""
    return [item for _, value in _compared(inputs) for item in _as_files(value)]


def list_settings(inputs: Any) -> dict[str, Any]:
    """Give all other declared inputs as JSON, by the names that a reason shows."""
    values: dict[str, Any] = {}
    for item, value in _compared(inputs):
        if not _as_files(value) and not item.metadata.get("is_file"):
            values |= _flatten(item.metadata.get("name", item.name), value)
    return values


def list_dropped(inputs: Any) -> dict[str, str]:
    """Give the settings that another one drops, as `dropped_settings` declares them."""
    named = [item.name for item in fields(inputs) if item.metadata.get("is_dropped")]
    return {name: by for field in named for name, by in getattr(inputs, field).items()}


def _compared(inputs: Any) -> Iterator[tuple[Field[Any], Any]]:
    for item in fields(inputs):
        if item.compare:
            yield item, getattr(inputs, item.name)


def _as_files(value: Any) -> list[File | Tree]:
    if isinstance(value, File | Tree):
        return [value]
    if isinstance(value, tuple) and value and all(isinstance(item, File | Tree) for item in value):
        return list(value)
    return []


def _flatten(name: str, value: Any) -> dict[str, Any]:
    """Give a value by its name, and a table's values by dotted names."""
    value = _as_json(value)
    if not isinstance(value, dict):
        return {name: value}
    parts = (_flatten(f"{name}.{key}" if name else str(key), part) for key, part in value.items())
    return {key: part for flat in parts for key, part in flat.items()}


def _as_json(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if is_dataclass(value):
        return {item.name: getattr(value, item.name) for item in fields(value)}
    return [_as_json(item) for item in value] if isinstance(value, tuple | list) else value
