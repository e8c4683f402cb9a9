"""The errors a person can mend, one class a reaction.

PersonaError
├── ManifestError   persona.toml says something that cannot be built: edit it
├── DataError       a data file holds rows that cannot be trained on: edit them
├── ToolError       something outside is missing, full, too old or in the way
│   └── NotBuiltError   an earlier stage has not run yet, or is of another version
└── GateError       the model was built but did not pass: read its answers
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

# No room on the disk, in a person's share of it, or for so long a file.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class PersonaError(Exception):
    """Something a person can mend; the base to catch them all.

    Args:
        problems: Sentences of the form `where: what is, what was expected`, all of them at once.
        hint: A command or an imperative that leads out, or None.

    """

    def __init__(self, *problems: str, hint: str | None = None) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
        self.hint = hint


class ManifestError(PersonaError):
    """The manifest, or the persona's folder, is not as it must be."""


class DataError(PersonaError):
    """A data file, or a row of it, is not as it must be."""


class ToolError(PersonaError):
    """The machine, the daemon or a library did not give what the build needs."""


class NotBuiltError(ToolError):
    """An output of an earlier stage is not there yet, or is none that this version reads.

    Args:
        path: The output, or a file in it.
        is_there: Whether there is one that this version cannot read.

    """

    def __init__(self, path: Path, *, is_there: bool = False) -> None:
        if is_there:
            problem = f"{path}: cannot be read, expected what this version writes"
            super().__init__(problem, hint="build the persona again")
        else:
            problem = f"{path}: is not there, expected a build"
            super().__init__(problem, hint="build the persona first")
        self.path, self.is_there = path, is_there


class GateError(PersonaError):
    """The finished model answered a question wrongly."""


def rebuild(kind: str, problems: list[str], hint: str | None) -> PersonaError:
    """Make an error of a kind from plain values, as it travels from a child process."""
    classes = {cls.__name__: cls for cls in (ManifestError, DataError, ToolError, GateError)}
    return classes.get(kind, PersonaError)(*problems, hint=hint)


def describe_refusal(error: OSError, path: Path) -> ToolError:
    """Make a sentence of what the operating system refused.

    Args:
        error: What was raised.
        path: What was being written, where the error names nothing.

    """
    where, why = Path(os.fsdecode(error.filename or path)), error.strerror or str(error)
    if error.errno in FULL:
        return ToolError(f"{where}: {why}, expected room in {where.parent}", hint="free some disk")
    return ToolError(f"{where}: {why}, expected to read and write it")
