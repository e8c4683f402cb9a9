"""What a stage is, what it is given, and how a heavy one runs in a process of its own."""

from __future__ import annotations

import importlib
import logging
import multiprocessing
import os
import re
import signal
import threading
import traceback
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

from builder import errors
from builder.command import command
from builder.persona import Persona

log = logging.getLogger("builder")
LOG_TAIL_LINES = 15
EXIT_WAIT_S = 10.0
# How safetensors (Rust) and torch.save (C++) say that the file system refused a write; neither raises an OSError.
REFUSED_WRITE = re.compile(
    r"I/O error: .+ \(os error \d+\)|PytorchStreamWriter failed writing.*|.*file write failed"
)


@dataclass(frozen=True)
class Options:
    """What a person typed beside the name."""

    base: str | None = None
    allow_remote: bool = False
    replace: bool = False
    discard: bool = False
    anyway: bool = False


@dataclass(frozen=True)
class Job:
    """One persona being built, and where each of its files lies."""

    persona: Persona
    build: Path
    template: Path
    options: Options = field(default_factory=Options)
    # What a stage keeps between tries; named by its inputs, so that another try of the same finds it.
    work: Path = Path()

    @property
    def lock(self) -> Path:
        """The base's pinned revisions, meant to be committed."""
        return self.persona.folder / "base.lock"

    @property
    def base(self) -> Path:
        """The base's facts, tokenizer and template."""
        return self.build / "base"

    @property
    def dataset(self) -> Path:
        """The prepared rows."""
        return self.build / "dataset"

    @property
    def replay(self) -> Path:
        """The base's own answers, trained on beside the rows."""
        return self.build / "replay.jsonl"

    @property
    def adapter(self) -> Path:
        """The trained adapter."""
        return self.build / "adapter"

    @property
    def gguf(self) -> Path:
        """The one file that is served."""
        return self.build / "model.gguf"

    @property
    def modelfile(self) -> Path:
        """What Ollama is told, as text."""
        return self.build / "Modelfile"

    @property
    def parity(self) -> Path:
        """The shapes of conversation, and whether the file's prompts are the trained ones."""
        return self.build / "parity.json"

    @property
    def reference(self) -> Path:
        """What the live model said at the end of its training."""
        return self.adapter / "reference.safetensors"

    @property
    def answers(self) -> Path:
        """What the live model answered to the gates, where a GPU made that quick."""
        return self.adapter / "answers.json"

    @property
    def smoke(self) -> Path:
        """The questions, answers and verdicts."""
        return self.build / "smoke.json"

    @property
    def receipt(self) -> Path:
        """What registration leaves."""
        return self.build / "registered.json"


class Stage(Protocol):
    """The names a stage module has. Each function but `run` is quick and imports nothing heavy."""

    NAME: str
    VERSION: int
    """Bumped when equal inputs must give another output."""
    HEAVY: bool
    """Whether `run` goes in a child process."""

    @staticmethod
    def inputs(job: Job) -> list[Path]:
        """List the files and folders whose content decides the output."""
        ...

    @staticmethod
    def settings(job: Job) -> dict[str, Any]:
        """Give the values that decide the output, by the names a reason shows."""
        ...

    @staticmethod
    def output(job: Job) -> Path:
        """Say where the output is published."""
        ...

    @staticmethod
    def health(job: Job) -> str | None:
        """Say what the outside world no longer has, or None."""
        ...

    @staticmethod
    def run(job: Job, out: Path) -> str:
        """Write the output to *out* and nowhere else; return the line a person sees."""
        ...


def run_in_child(stage: Stage, job: Job, out: Path, log_path: Path) -> str:
    """Run a stage in a fresh process, its chatter in a log, its records here.

    Raises:
        PersonaError: What the stage raised; ToolError when the process died.

    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    name = str(getattr(stage, "__name__", ""))
    process = context.Process(target=_child, args=(name, job, out, theirs, log_path), daemon=False)
    process.start()
    theirs.close()
    try:
        return _listen(ours, process, stage.NAME, log_path)
    finally:
        if process.is_alive():
            process.terminate()
        process.join(10)
        if process.is_alive():
            process.kill()
            process.join()
        ours.close()


def _listen(connection: Connection, process: Any, name: str, log_path: Path) -> str:
    while True:
        try:
            kind, *rest = connection.recv()
        except EOFError:
            process.join()
            raise errors.ToolError(
                f"{name}: {_death(process.exitcode)}",
                *_tail(log_path),
                hint=f"the whole log is {log_path}",
            ) from None
        if kind == "log":
            level, message, progress = rest
            log.log(level, "%s", message, extra={"progress": progress})
            continue
        process.join(EXIT_WAIT_S)
        if kind == "done":
            return str(rest[0])
        if kind == "error":
            raise errors.rebuild(*rest)
        raise RuntimeError(rest[0])


def _death(code: int | None) -> str:
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        why = {
            "SIGKILL": ", most often for want of memory",
            "SIGILL": ", compiled for another processor",
        }.get(name, "")
        return f"the process was ended by {name}{why}, expected it to finish"
    return f"the process ended with {code} and said nothing, expected it to finish"


def _tail(path: Path) -> list[str]:
    lines = path.read_text(errors="replace").splitlines() if path.exists() else []
    return [f"  {line}" for line in lines[-LOG_TAIL_LINES:]]


class _Forward(logging.Handler):
    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self.connection = connection

    def emit(self, record: logging.LogRecord) -> None:
        self.connection.send(
            ("log", record.levelno, record.getMessage(), getattr(record, "progress", None))
        )


def _child(module: str, job: Job, out: Path, connection: Connection, log_path: Path) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent answers Ctrl-C for both
    with log_path.open("w") as chatter:
        os.dup2(chatter.fileno(), 1)
        os.dup2(chatter.fileno(), 2)
    threading.Thread(target=_die_with_parent, args=(connection,), daemon=True).start()
    log.addHandler(_Forward(connection))
    log.setLevel(logging.INFO)
    log.propagate = False
    try:
        connection.send(("done", importlib.import_module(module).run(job, out)))
    except errors.PersonaError as error:
        connection.send(("error", type(error).__name__, list(error.problems), error.hint))
    except OSError as error:
        connection.send(
            ("error", "ToolError", [f"{error.filename or out}: {error.strerror or error}"], None)
        )
    except Exception as error:  # noqa: BLE001 — what is not a refused write is a bug, reported whole by the parent
        if refusal := REFUSED_WRITE.search(str(error)):
            problem = f"{out}: a file beside it could not be written ({refusal[0]}), expected room"
            connection.send(
                (
                    "error",
                    "ToolError",
                    [problem],
                    f"free some disk: `{command('clean')}` says what each build takes",
                )
            )
        else:
            connection.send(("bug", traceback.format_exc()))


def _die_with_parent(connection: Connection) -> None:
    # The parent never sends: the only thing that arrives is the end of it.
    try:
        connection.recv()
    except (EOFError, OSError):
        os._exit(1)
