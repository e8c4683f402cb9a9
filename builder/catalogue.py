"""The state of each persona of a project, from its files only."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from builder import files, last_build, persona, targets
from builder.bases import base
from builder.engine import stamps
from builder.engine.lock import read_lock
from builder.errors import ToolError
from builder.evaluation import tally
from builder.evaluation.tally import Tally
from builder.project import GGUF, HISTORY, RECEIPT, SMOKE
from builder.stages import register, smoke

State = Literal["never built", "half built", "in use", "stale?", "built", "refused", "stopped"]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A persona and the result of its last build.

    Attributes:
        name: The folder's name.
        state: "stale?" if a file or the builder has changed since (`why` knows whether it
            matters); "half built" if stages ran after the rows were prepared, none failed, and
            there is no finished file; "in use" if another process builds it, or asks its file;
            "refused" if a gate stopped the last build, "stopped" if anything else did.
        stopped_at: The stage at which the last build stopped, or None.
        built: Whether there is a finished file that was examined.
        base: The repository or folder of its base, or None.
        size_bytes: The size of the file, or None if there is none.
        passed: How many gates passed, or None if the file was not examined.
        failed: The gates that failed and stop the build.
        advised: How many gates failed without stopping the build.
        unsure: How many gates did not have enough evidence.
        model: The name of the last registration with Ollama, or None.
        model_is_older: Whether the registered model is of an earlier build.
        let_through: The gates that failed and were waived by --anyway.

    """

    name: str
    state: State
    stopped_at: str | None
    built: bool
    base: str | None
    size_bytes: int | None
    passed: int | None
    failed: list[str]
    advised: int
    unsure: int
    model: str | None
    model_is_older: bool
    let_through: list[str]


def read(root: Path) -> Iterator[Entry]:
    """Read the personas of a project, in alphabetical order."""
    template = files.find_template(root)
    for name in persona.find(root / "personas"):
        yield _read_entry(root / "personas" / name, root / "build" / name, template)


def list_builds(root: Path) -> list[str]:
    """List the names of the builds of a project in alphabetical order, also without a persona."""
    return sorted(path.name for path in (root / "build").glob("*") if path.is_dir())


def _read_entry(folder: Path, build: Path, template: Path) -> Entry:
    receipt = _read_table(build / RECEIPT)
    gates = receipt.get("let_through")
    stop, counted = last_build.find_stop(build), _count_gates(build)
    stopped_at = stop.stage if stop else None
    is_built = (build / GGUF).is_file() and (build / SMOKE).is_file()
    return Entry(
        name=folder.name,
        state=_find_state(
            folder,
            build,
            template,
            stopped_at,
            is_built=is_built,
            is_refused=stopped_at == smoke.NAME and counted is not None,
        ),
        stopped_at=stopped_at,
        built=is_built,
        base=_text(_read_table(build / "base" / base.FACTS), "source"),
        size_bytes=_stat(build / GGUF)[0] or None,
        passed=counted.passed if counted else None,
        failed=list(counted.failed) if counted else [],
        advised=counted.advised if counted else 0,
        unsure=counted.unsure if counted else 0,
        model=_text(receipt, "model"),
        model_is_older=bool(receipt) and stopped_at is not None,
        let_through=[str(gate) for gate in gates] if isinstance(gates, list) else [],
    )


def _count_gates(build: Path) -> Tally | None:
    """Count the gates that judged the present file; None if there is no examination of it."""
    try:
        path = last_build.find_examination(build)
    except ToolError:
        return None
    found = _read_table(path) if path else {}
    gates = [gate for gate in _list(found, "gates") if isinstance(gate, dict)]
    failed = [str(gate) for gate in _list(found, "failed")]
    judged = ((gate.get("verdict"), gate.get("mode")) for gate in gates)
    return tally.count(judged, failed) if found else None


def _find_state(
    folder: Path,
    build: Path,
    template: Path,
    stopped_at: str | None,
    *,
    is_built: bool,
    is_refused: bool,
) -> State:
    if _is_in_use(build):
        return "in use"
    if stopped_at:
        return "refused" if is_refused else "stopped"
    if not is_built:
        return "half built" if last_build.has_begun(build) else "never built"
    changed = max(_find_change(folder), _stat(template)[1])
    return "stale?" if changed > _find_end(build) or not _is_whole(build) else "built"


def _is_in_use(build: Path) -> bool:
    """Say whether another process holds the lock; of a damaged lock, that none does."""
    try:
        return read_lock(build).is_held
    except (OSError, ToolError):
        return False


def _is_whole(build: Path) -> bool:
    """Say whether each stage ran in its present version, and none after the end of the build."""
    for stage in targets.MODEL:
        path = stamps.path(build, stage.NAME)
        if stage.NAME == register.NAME and not path.exists():
            continue  # where there is no Ollama
        stamp = stamps.read(build, stage.NAME)
        if stamp is None or stamp.description.version != stage.VERSION:
            return False
        if stage.NAME != register.NAME and _stat(path)[1] > _find_end(build):
            return False
    return True


def _find_end(build: Path) -> int:
    """Find when the last build ended, by the time of its record in the history."""
    ends = [_stat(path)[1] for path in (build / HISTORY).glob("[!.]*.json")]
    return max(*ends, 0, _stat(stamps.path(build, smoke.NAME))[1])


def _find_change(folder: Path) -> int:
    """Find the time of the last change in a persona's folder."""
    paths = (Path(at) / name for at, _, names in os.walk(folder) for name in names)
    return max((_stat(path)[1] for path in paths), default=0)


def _stat(path: Path) -> tuple[int, int]:
    """Give size in bytes and time of change in ns; 0 and 0 if there is no such file."""
    try:
        status = path.lstat() if not path.is_symlink() else path.stat()
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns


def _text(values: dict[str, Any], key: str) -> str | None:
    value = values.get(key)
    return value if isinstance(value, str) else None


def _list(values: dict[str, Any], key: str) -> list[Any]:
    value = values.get(key)
    return value if isinstance(value, list) else []


def _read_table(path: Path) -> dict[str, Any]:
    """Read a JSON object; empty if there is none, or it is damaged."""
    value = files.read_json(path)
    return value if isinstance(value, dict) else {}
