"""The entry point of the command line: parses arguments, and turns errors into exit codes."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path

import click
from click import shell_completion

from builder import __version__
from builder.command import command, program
from builder.commands.arguments import DONE, MENDABLE, describe_missing
from builder.commands.group import COMPLETION_VARIABLE, commands
from builder.errors import PersonaError, ToolError, describe_refusal
from builder.terminal.console import Console

USAGE, BUG, INTERRUPTED, TERMINATED = 2, 3, 130, 143
CRASH_LOG = Path("build") / "crash.log"
NO_MEMORY = "this machine ran out of memory, expected enough for the command"


class TerminatedError(BaseException):
    """The process received SIGTERM, as a notebook's time limit or `docker stop` sends it."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return its exit code."""
    _open_standard_streams()
    if instruction := os.environ.get(COMPLETION_VARIABLE):
        return _complete(instruction)
    console = Console()
    log = logging.getLogger("builder")
    log.addHandler(console)
    log.setLevel(logging.INFO)
    log.propagate = False
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    try:
        with _raising_on_sigterm():
            return _run(arguments, console)
    except TerminatedError:
        hint = "run the same command again: it goes on from there"
        _tell(console, PersonaError("ended by SIGTERM; what was finished is kept", hint=hint))
        return TERMINATED
    except BrokenPipeError:
        # Python flushes stdout again as it exits, and nobody reads that either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return DONE
    except Exception as error:  # noqa: BLE001 — the boundary: everything else is a bug
        path = _write_crash_log(arguments)
        text = f"{type(error).__name__}: {error}".splitlines()[-1]
        _tell(console, PersonaError(f"a bug: {text}", hint=f"report it with {path}"))
        return BUG
    finally:
        log.removeHandler(console)
        console.close()


def _complete(instruction: str) -> int:
    """Answer a shell that asks for completions; say nothing to one that asks in another way."""
    try:
        return shell_completion.shell_complete(
            commands, {}, "persona", COMPLETION_VARIABLE, instruction
        )
    except (KeyError, ValueError):  # its variables are not set, or are no numbers
        return USAGE
    except (OSError, PersonaError):  # nobody reads it, or the project cannot be read
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return MENDABLE


def _run(arguments: list[str], console: Console) -> int:
    """Parse the arguments and run the command; errors that a person can fix become exit codes."""
    try:
        with commands.make_context(program(), arguments, obj=console) as context:
            return int(commands.invoke(context) or DONE)
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        with contextlib.suppress(OSError):  # a full disk under standard error
            error.show()
        return USAGE
    except click.ClickException as error:
        path = getattr(error, "ctx", None)
        hint = f"{path.command_path if path else program()} --help"
        # Click lists the choices of a missing argument one a line.
        message = " ".join(error.format_message().split())
        if isinstance(error, click.MissingParameter):
            message = describe_missing(error.param) or message
        _tell(console, PersonaError(message, hint=hint))
        return error.exit_code
    except BrokenPipeError:
        raise
    except (PersonaError, OSError, MemoryError) as error:
        _tell(console, _explain(error))
        return MENDABLE
    except (KeyboardInterrupt, click.Abort) as interruption:
        _tell(console, _describe(interruption, console))
        return INTERRUPTED


def _tell(console: Console, error: PersonaError) -> None:
    """Print an error if possible: standard error may be a file on a full disk."""
    try:
        console.error(error)
    except BrokenPipeError:
        raise
    except OSError:
        pass


def _explain(error: PersonaError | OSError | MemoryError) -> PersonaError:
    """Turn an error of the operating system into a sentence."""
    if isinstance(error, OSError):
        return describe_refusal(error, Path())
    if isinstance(error, MemoryError):
        return ToolError(NO_MEMORY, hint="end other programs, or take a smaller base")
    return error


def _describe(interruption: KeyboardInterrupt | click.Abort, console: Console) -> PersonaError:
    """Say what Ctrl-C has ended: a question, or a command."""
    if isinstance(interruption, click.Abort):
        click.echo(err=True)  # ends the line of the question
        return PersonaError("a question was not answered; nothing was changed")
    hint = None
    if console.persona:
        hint = f"`{command(f'build {console.persona}')}` goes on from there"
    return PersonaError("interrupted; what was finished is kept", hint=hint)


@contextlib.contextmanager
def _raising_on_sigterm() -> Iterator[None]:
    """Turn the first SIGTERM into an exception, so that everything is closed in order."""

    def end(_signal: int, _frame: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise TerminatedError

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _open_standard_streams() -> None:
    """Open the null device in place of each standard stream that was closed (`>&-`).

    Otherwise the next file that is opened gets its descriptor, and output goes into that file.
    """
    for descriptor, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != descriptor:
                os.dup2(opened, descriptor)
                os.close(opened)
            setattr(sys, name, os.fdopen(descriptor, mode, encoding="utf-8", closefd=False))


def _write_crash_log(arguments: list[str]) -> Path:
    """Write the traceback into build/, or else into the folder for temporary files."""
    text = f"{command(' '.join(arguments))}\npersona {__version__}, Python {sys.version}\n\n"
    text += traceback.format_exc()
    for path in (CRASH_LOG, Path(tempfile.gettempdir()) / "persona-crash.log"):
        try:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8", errors="backslashreplace")
        except OSError:
            continue
        return path
    return CRASH_LOG


if __name__ == "__main__":
    sys.exit(main())
