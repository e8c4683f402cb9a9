"""Whether a stage's output is fresh, and if not, every reason why.

Content decides. A stamp holds what an output was made of, so that it travels with the build;
the time that it took is there to be read, and compared with nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from builder import files
from builder.engine.excerpts import shorten
from builder.engine.hashes import Hashes
from builder.engine.spans import Span, read_spans
from builder.engine.stage import Build, Stage, list_dropped, list_files, list_settings
from builder.errors import NotBuiltError, ToolError

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
    dropped: dict[str, str] = field(default_factory=dict, compare=False)
    """Settings that another one drops, and that one's name: it decides nothing but the words."""

    def as_json(self) -> dict[str, Any]:
        """Give what decides as a stamp holds it."""
        decides = {"version": self.version, "settings": self.settings, "inputs": self.inputs}
        return {"schema": SCHEMA, **decides}

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
    return Description(stage.VERSION, settings, contents, list_dropped(inputs))


def find_reasons(
    stage: Stage, build: Build, hashes: Hashes, changing: Iterable[Path] = ()
) -> list[str]:
    """Give every reason why a stage must run, and write nothing; no reason means fresh.

    Args:
        stage: The stage.
        build: What is built.
        hashes: Of files.
        changing: Declared files that stages before it will write: what they will be is not known
            yet, so that they are no reason.

    Raises:
        ToolError: The output was edited by hand.
        NotBuiltError: An input is not there, and no other stage will write it.

    """
    try:
        return _find_all_reasons(stage, build, hashes, {_name(path, build) for path in changing})
    except NotBuiltError:
        if changing:
            return []
        raise


def has_changed(stage: Stage, build: Build, hashes: Hashes, paths: Iterable[Path]) -> bool:
    """Say whether one of some declared files differs from what the output was made of.

    One that is not there does not count: it is not known yet what it will be.
    """
    stamp = read_stamp(stage, build)
    return stamp is not None and any(
        path.exists() and hashes.of(path) != stamp.description.inputs.get(_name(path, build))
        for path in paths
    )


def _find_all_reasons(stage: Stage, build: Build, hashes: Hashes, changing: set[str]) -> list[str]:
    if reasons := _find_output_reasons(stage, build, hashes):
        return reasons
    stamp = read_stamp(stage, build)
    if stamp is None:
        return ["never built"]
    old, new = stamp.description, describe(stage, build, stage.inputs(build), hashes)
    reasons = [f"{stage.NAME} itself has changed"] if new.version != old.version else []
    reasons += _compare_settings(old, new) + _compare_files(old.inputs, new.inputs, changing)
    if not reasons and (unhealthy := stage.health(build)):
        reasons = [unhealthy]
    return reasons


def compare(old: Description, new: Description) -> list[str]:
    """Give a reason for each setting and each file in which two descriptions differ."""
    return _compare_settings(old, new) + _compare_files(old.inputs, new.inputs)


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
        Description(
            values["version"],
            values["settings"],
            values["inputs"],
            dropped if isinstance(dropped := values.get("dropped"), dict) else {},
        ),
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


def _compare_settings(old: Description, new: Description) -> list[str]:
    names = sorted({*old.settings, *new.settings})
    changed = [name for name in names if _has_changed(name, old.settings, new.settings)]
    told = (_tell_setting(name, old, new, changed) for name in changed)
    return [reason for reason in told if reason]


def _has_changed(name: str, old: dict[str, Any], new: dict[str, Any]) -> bool:
    return name not in old or name not in new or old[name] != new[name]


def _tell_setting(name: str, old: Description, new: Description, changed: list[str]) -> str:
    """Say how a setting has changed; nothing where that follows from another that is told."""
    by = new.dropped.get(name) or old.dropped.get(name)
    if by:
        leaves = "now leaves" if name in new.dropped else "no longer leaves"
        return "" if by in changed else f"{by} {leaves} {name} out"
    if name not in old.settings:
        return f"{name} is new: {shorten(new.settings[name])[0]}"
    if name not in new.settings:
        return f"{name} is gone"
    shown_new, shown_old = shorten(new.settings[name], old.settings[name])
    return f"{name} is now {shown_new}, was {shown_old}"


def _compare_files(
    old: dict[str, str | None], new: dict[str, str | None], changing: Iterable[str] = ()
) -> list[str]:
    reasons = []
    for name in sorted({*old, *new} - {*changing}):
        if name not in old:
            reasons.append(f"{name} is new")
        elif name not in new:
            reasons.append(f"{name} is gone")
        elif old[name] != new[name]:
            reasons.append(f"{name} changed")
    return reasons
