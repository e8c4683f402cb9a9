"""The interface of a stage: a module with declared inputs, an output, and a function `run`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from builder.machine import Machine


@dataclass(frozen=True)
class Work:
    """Where a stage writes, and the machine it runs on."""

    out: Path
    """The path to write the output to; it is moved into place when the stage is done."""
    scratch: Path
    """A folder that is kept between attempts with the same inputs, so that a stage can resume."""
    machine: Machine

    def note_sha256(self, digest: str) -> None:
        """Note the SHA-256 of the output, a file that was hashed while it was written.

        The engine then does not read gigabytes again.
        """
        self._sha256_path.write_text(digest, "utf-8")

    def read_sha256(self) -> str | None:
        """Read what `note_sha256` noted, if anything."""
        path = self._sha256_path
        return path.read_text("utf-8") if path.is_file() else None

    @property
    def _sha256_path(self) -> Path:
        return self.out.with_name(f"{self.out.name}.sha256")


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """How far an interrupted attempt came; the next one resumes there."""

    done: int
    of: int
    unit: str = "step"

    def describe(self) -> str:
        """Say where the next attempt begins."""
        return f"goes on from {self.unit} {self.done} of {self.of}"


class Build(Protocol):
    """What the engine needs to know about a build."""

    @property
    def name(self) -> str:
        """The name of the build."""
        ...

    @property
    def folder(self) -> Path:
        """The folder of all outputs."""
        ...

    @property
    def roots(self) -> tuple[Path, ...]:
        """Folders that reasons name files relative to, the innermost first."""
        ...

    @property
    def machine(self) -> Machine:
        """The machine that runs the build."""
        ...

    @property
    def is_discarding(self) -> bool:
        """Whether outputs that were edited by hand may be overwritten."""
        ...


class Stage(Protocol):
    """The names that the module of a stage defines.

    Every function except `run` is fast, and imports nothing heavy. `run` takes the result of
    `inputs`.
    """

    @property
    def NAME(self) -> str:  # noqa: N802 — a module's constant
        """The name that is shown."""
        ...

    @property
    def WORDS(self) -> str:  # noqa: N802
        """What the stage does, in words for a user."""
        ...

    @property
    def VERSION(self) -> int:  # noqa: N802
        """Increased when the same inputs must give another output."""
        ...

    def inputs(self, build: Any, /) -> Any:
        """Declare all that decides the output, as a frozen dataclass: see `engine/inputs.py`."""
        ...

    def output(self, build: Any, /) -> Path:
        """Give the path of the published output."""
        ...

    def check(self, build: Any, /) -> None:
        """Raise an error before any stage runs, if this one cannot finish."""
        ...

    def health(self, build: Any, /) -> str | None:
        """Say what is missing outside of the build, such as a model in Ollama, or None."""
        ...

    def unavailable(self, build: Any, /) -> str | None:
        """Say why the stage cannot run on this machine; None if it can."""
        ...

    def note(self, build: Any, /) -> None:
        """Record what later builds must know, after the output is published."""
        ...

    def checkpoint(self, build: Any, scratch: Path, /) -> Checkpoint | None:
        """Read from the scratch folder how far an interrupted attempt came."""
        ...

    def worker(self, build: Any, /) -> str | None:
        """Name the module that its worker process imports first; None runs in the main process.

        Consecutive stages with the same worker share a process.
        """
        ...

    def run(self, inputs: Any, work: Work, /) -> str:
        """Write the output to `work.out`, and return the line that is shown."""
        ...


def nothing_to_check(_build: Any, /) -> None:
    """Serve as `check` for a stage that has nothing to check."""


def always_healthy(_build: Any, /) -> str | None:
    """Serve as `health` for a stage whose output depends on nothing outside of the build."""
    return None


def always_available(_build: Any, /) -> str | None:
    """Serve as `unavailable` for a stage that runs on any machine."""
    return None


def nothing_to_note(_build: Any, /) -> None:
    """Serve as `note` for a stage that has nothing to record."""


def never_resumed(_build: Any, _scratch: Path, /) -> None:
    """Serve as `checkpoint` for a stage that always starts from the beginning."""


def main_process(_build: Any, /) -> None:
    """Serve as `worker` for a light stage."""
