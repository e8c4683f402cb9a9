"""What a stage is: a module with declared inputs, an output, and a function of those inputs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from builder.machine import Machine


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
        """Declare all that decides the output, in a frozen dataclass: see `engine/inputs.py`."""
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
