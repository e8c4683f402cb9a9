"""The errors that a user can fix, one class for each reaction.

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

# No room on the disk, no quota left, or a file that is too long.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# A folder or a disk that may not be used.
FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


class PersonaError(Exception):
    """An error that a user can fix; the base class of all.

    Args:
        problems: Sentences of the form `where: what is, what was expected`; all problems at once.
        hint: A command or an imperative that says what to do, or None.

    """

    def __init__(self, *problems: str, hint: str | None = None) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
        self.hint = hint


class ManifestError(PersonaError):
    """The manifest or the persona's folder is wrong."""


class DataError(PersonaError):
    """A data file or a row is wrong."""


class ToolError(PersonaError):
    """The machine, the daemon or a library does not provide what the build needs."""


class NotBuiltError(ToolError):
    """An output of an earlier stage does not exist yet, or this version cannot read it.

    Args:
        path: The output, or a file in it.
        is_there: Whether it exists and cannot be read.

    """

    def __init__(self, path: Path, *, is_there: bool = False) -> None:
        if is_there:
            problem = f"{path}: cannot be read, expected what this version writes"
            super().__init__(problem, hint="build the persona again")
        else:
            problem = f"{path}: does not exist, expected a build"
            super().__init__(problem, hint="build the persona first")
        self.path, self.is_there = path, is_there


class GateError(PersonaError):
    """The finished model did not pass."""


def rebuild(kind: str, problems: list[str], hint: str | None) -> PersonaError:
    """Make an error from plain values, as a worker process sends them."""
    classes = {cls.__name__: cls for cls in (ManifestError, DataError, ToolError, GateError)}
    return classes.get(kind, PersonaError)(*problems, hint=hint)


def describe_refusal(error: OSError, path: Path) -> ToolError:
    """Turn an error of the operating system into a sentence.

    Args:
        error: The error.
        path: The file that was being written, used if the error names none.

    """
    where, why = Path(os.fsdecode(error.filename or path)), error.strerror or str(error)
    if error.errno in FULL:
        return ToolError(f"{where}: {why}, expected room in {where.parent}", hint="free some disk")
    if error.errno in FORBIDDEN and not os.path.lexists(where):
        folder = Path.cwd() if where.parent == Path() else where.parent
        return ToolError(f"{folder}: {why}, expected a folder that can be read and written")
    return ToolError(f"{where}: {why}, expected to read and write it")
