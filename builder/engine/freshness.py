"""Whether a stage's output is fresh, and if not, every reason why.

An output is fresh if its stamp describes the same version, settings and file contents as now.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from builder.engine import stamps
from builder.engine.excerpts import shorten
from builder.engine.hashes import Hashes
from builder.engine.inputs import list_dropped, list_files, list_settings
from builder.engine.stage import Build, Stage
from builder.engine.stamps import Description, Stamp
from builder.errors import NotBuiltError, ToolError


def describe(stage: Stage, build: Build, inputs: Any, hashes: Hashes) -> Description:
    """Describe the declared inputs of a stage as they are now."""
    settings = json.loads(json.dumps(list_settings(inputs)))
    contents = {_name(file.path, build): hashes.of(file.path) for file in list_files(inputs)}
    return Description(stage.VERSION, settings, contents, list_dropped(inputs))


def find_reasons(
    stage: Stage, build: Build, hashes: Hashes, changing: Iterable[Path] = ()
) -> list[str]:
    """Give every reason why a stage must run; an empty list means fresh. Nothing is written.

    Args:
        stage: The stage.
        build: The build.
        hashes: Hashes of its files.
        changing: Declared files that earlier stages will write. Their new content is not known
            yet, so they are not compared.

    Raises:
        ToolError: The output was edited by hand.
        NotBuiltError: An input is missing, and no other stage will write it.

    """
    try:
        return _find_all_reasons(stage, build, hashes, {_name(path, build) for path in changing})
    except NotBuiltError:
        if changing:
            return []
        raise


def has_changed(stage: Stage, build: Build, hashes: Hashes, paths: Iterable[Path]) -> bool:
    """Say whether any of these declared files differs from the one that the output was made from.

    A missing file does not count: its new content is not known yet.
    """
    stamp = stamps.read(build.folder, stage.NAME)
    return stamp is not None and any(
        path.exists() and hashes.of(path) != stamp.description.inputs.get(_name(path, build))
        for path in paths
    )


def _find_all_reasons(stage: Stage, build: Build, hashes: Hashes, changing: set[str]) -> list[str]:
    stamp = stamps.read(build.folder, stage.NAME)
    if stamp is None:
        return [_explain_missing_stamp(stage, build)]
    if reason := _find_output_reason(stage, build, hashes, stamp):
        return [reason]
    old, new = stamp.description, describe(stage, build, stage.inputs(build), hashes)
    reasons = [f"{stage.NAME} itself has changed"] if new.version != old.version else []
    reasons += _compare_settings(old, new) + _compare_files(old.inputs, new.inputs, changing)
    if not reasons and (unhealthy := stage.health(build)):
        reasons = [unhealthy]
    return reasons


def compare(old: Description, new: Description) -> list[str]:
    """Give a reason for each setting and each file in which two descriptions differ."""
    return _compare_settings(old, new) + _compare_files(old.inputs, new.inputs)


def _explain_missing_stamp(stage: Stage, build: Build) -> str:
    if failure := stamps.read_failure(build.folder, stage.NAME):
        return f"failed last time: {failure}"
    is_other = stamps.is_of_other_schema(build.folder, stage.NAME)
    return "built by another version" if is_other else "never built"


def _find_output_reason(stage: Stage, build: Build, hashes: Hashes, stamp: Stamp) -> str | None:
    """Compare the output itself with its stamp, whatever its inputs."""
    output = stage.output(build)
    if not output.exists():
        return f"{output.name} is missing"
    if hashes.of(output) == stamp.output:
        return None
    if build.is_discarding:
        return f"{output.name} was edited by hand and is discarded"
    msg = f"{output}: was edited by hand, expected what `{stage.NAME}` wrote"
    where = "in the persona's folder or in Modelfile.j2"
    raise ToolError(msg, hint=f"make the change {where}, then build with --discard")


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
    """Say how a setting has changed; "" if that only follows from another changed setting."""
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
