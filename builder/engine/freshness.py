"""Whether a stage's output is fresh, and if not, every reason why.

Content decides. A stamp holds what an output was made of, so that it travels with the build;
the time that it took is there to be read, and compared with nothing.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder import files
from builder.engine.excerpts import shorten
from builder.engine.hashes import Hashes
from builder.engine.spans import Span, read_spans
from builder.engine.stage import Build, Stage, list_files, list_settings
from builder.errors import ToolError

SCHEMA = 2
# What a stamp must hold, and of which type; one that does not is no stamp.
NEEDED = {"version": int, "settings": dict, "inputs": dict, "output": str, "summary": str}


@dataclass(frozen=True)
class Description:
    """What decides a stage's output: its version, its settings, and the content of its files."""

    version: int
    settings: dict[str, Any]
    inputs: dict[str, str | None]
    """Hashes by the names that a reason shows; None where there is nothing."""

    def as_json(self) -> dict[str, Any]:
        """Give it as a stamp holds it."""
        return {"schema": SCHEMA, **vars(self)}

    def key(self) -> str:
        """Shorten it to a name for a scratch folder."""
        text = json.dumps(self.as_json(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Stamp:
    """What an output was made of, its own hash, the line that a person saw, and what made it."""

    description: Description
    output: str
    summary: str
    took_s: float | None
    """How long the stage ran; None of a build that did not note it."""
    tools: dict[str, str]
    """Versions of the libraries that were installed."""
    spans: tuple[Span, ...] = ()
    """What of that time went where; none of a stage that told no progress."""


def describe(stage: Stage, build: Build, inputs: Any, hashes: Hashes) -> Description:
    """Describe what a stage's declared inputs are now."""
    settings = json.loads(json.dumps(list_settings(inputs)))
    contents = {_name(file.path, build): hashes.of(file.path) for file in list_files(inputs)}
    return Description(stage.VERSION, settings, contents)


def find_reasons(stage: Stage, build: Build, hashes: Hashes) -> list[str]:
    """Give every reason why a stage must run, and write nothing; no reason means fresh.

    Raises:
        ToolError: The output was edited by hand.

    """
    if reasons := _find_output_reasons(stage, build, hashes):
        return reasons
    stamp = read_stamp(stage, build)
    if stamp is None:
        return ["never built"]
    old, new = stamp.description, describe(stage, build, stage.inputs(build), hashes)
    reasons = [f"{stage.NAME} itself has changed"] if new.version != old.version else []
    reasons += compare(old, new)
    if not reasons and (unhealthy := stage.health(build)):
        reasons = [unhealthy]
    return reasons


def compare(old: Description, new: Description) -> list[str]:
    """Give a reason for each setting and each file in which two descriptions differ."""
    settings = _compare_settings(old.settings, new.settings)
    return settings + _compare_files(old.inputs, new.inputs)


def _find_output_reasons(stage: Stage, build: Build, hashes: Hashes) -> list[str]:
    """Find what is wrong with the output and its stamp, whatever it was made of."""
    stamp, output = read_stamp(stage, build), stage.output(build)
    if stamp is None:
        values = files.read_json(stamp_path(stage, build))
        is_other = isinstance(values, dict) and values.get("schema") != SCHEMA
        state = "built by another version" if is_other else "never built"
        failure = read_failure(stage, build)
        return [f"failed last time: {failure}" if failure else state]
    if not output.exists():
        return [f"{output.name} is missing"]
    if hashes.of(output) == stamp.output:
        return []
    if build.is_discarding:
        return [f"{output.name} was edited by hand and is discarded"]
    msg = f"{output}: was edited by hand, expected what `{stage.NAME}` wrote"
    where = "in the persona's folder or in Modelfile.j2"
    raise ToolError(msg, hint=f"make the change {where}, then build with --discard")


def read_stamp(stage: Stage, build: Build) -> Stamp | None:
    """Read a stage's stamp; None when there is none, or it is not whole, or of another schema."""
    values = files.read_json(stamp_path(stage, build))
    if not isinstance(values, dict) or values.get("schema") != SCHEMA:
        return None
    if not all(isinstance(values.get(name), kind) for name, kind in NEEDED.items()):
        return None
    return Stamp(
        Description(values["version"], values["settings"], values["inputs"]),
        values["output"],
        values["summary"],
        took_s if isinstance(took_s := values.get("took_s"), int | float) else None,
        tools if isinstance(tools := values.get("tools"), dict) else {},
        read_spans(values.get("spans")),
    )


def stamps_folder(folder: Path) -> Path:
    """Say where the stamps of a build in *folder* lie."""
    return folder / ".stamps"


def stamp_path(stage: Stage, build: Build) -> Path:
    """Say where a stage's stamp lies."""
    return stamps_folder(build.folder) / f"{stage.NAME}.json"


def note_failure(stage: Stage, build: Build, message: str) -> None:
    """Write down a failure's first line, so that the next reason can name it."""
    path = failure_path(stage, build)
    with suppress(OSError):  # where even that has no room, the failure itself is still told
        path.parent.mkdir(parents=True, exist_ok=True)
        first = message.splitlines()[0] + "\n"
        path.write_text(first, "utf-8", errors="backslashreplace")


def failure_path(stage: Stage, build: Build) -> Path:
    """Say where the last failure is written down."""
    return stamps_folder(build.folder) / f"{stage.NAME}.failed"


def read_failure(stage: Stage, build: Build) -> str | None:
    """Read the first line of a stage's last failure; None where it did not fail since it ran."""
    try:
        return failure_path(stage, build).read_text("utf-8").strip()
    except (OSError, ValueError):
        return None


def _name(path: Path, build: Build) -> str:
    root = next((root for root in build.roots if path.is_relative_to(root)), None)
    return path.relative_to(root).as_posix() if root else path.name


def _compare_settings(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    reasons = []
    for name in sorted({*old, *new}):
        if name not in old:
            reasons.append(f"{name} is new: {shorten(new[name])[0]}")
        elif name not in new:
            reasons.append(f"{name} is gone")
        elif old[name] != new[name]:
            shown_new, shown_old = shorten(new[name], old[name])
            reasons.append(f"{name} is now {shown_new}, was {shown_old}")
    return reasons


def _compare_files(old: dict[str, str | None], new: dict[str, str | None]) -> list[str]:
    reasons = []
    for name in sorted({*old, *new}):
        if name not in old:
            reasons.append(f"{name} is new")
        elif name not in new:
            reasons.append(f"{name} is gone")
        elif old[name] != new[name]:
            reasons.append(f"{name} changed")
    return reasons
