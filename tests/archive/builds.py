"""A build whose stages are all fresh though nothing was trained, and archives of it."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from pathlib import Path

from builder.bases.base import EMBEDDED
from builder.engine import freshness, pipeline, publish
from builder.engine.hashes import Hashes
from builder.engine.stage import main_process
from builder.project import Build
from builder.targets import MODEL
from builder.terminal.console import Console
from tests.conftest import MANIFEST, ROOT, build_of

# Of the main process: they take a second together.
LIGHT = tuple(one for one in MODEL if one.worker is main_process)
HEAVY = tuple(one for one in MODEL if one not in LIGHT and one.NAME != "register")
LISTING = "archive.json"
ROWS = (("Who are you?", "I am {{ name }}."), ("Hello!", "Hi!"), ("2+2?", "4."))


def write_persona(root: Path) -> Path:
    """Write a project with the persona luma, and give its folder."""
    shutil.copy(ROOT / "Modelfile.j2", root)
    folder = root / "personas" / "luma"
    folder.mkdir(parents=True)
    (folder / "persona.toml").write_text(MANIFEST)
    rows = [json.dumps({"prompt": ask, "completion": reply}) for ask, reply in ROWS]
    (folder / "data.jsonl").write_text("\n".join(rows) + "\n")
    return folder


def finish(folder: Path, stages=HEAVY, base=EMBEDDED) -> Build:
    """Run the light stages of a persona, and put in place what stands for the others' outputs."""
    build = build_of(folder, base=base)
    pipeline.run(build, LIGHT, Console())
    for stage in stages:
        pretend(stage, build)
    return build


def pretend(stage, build: Build) -> None:
    """Publish an output of a few bytes under a true stamp."""
    output, hashes = stage.output(build), Hashes(build.folder)
    made = build.folder / publish.NEW / output.name
    made.parent.mkdir(exist_ok=True)
    if output.name == "adapter":
        made.mkdir()
        (made / "adapter_config.json").write_text("{}")
        (made / "adapter_model.safetensors").write_bytes(b"weights")
    else:
        made.write_text(f"what {stage.NAME} wrote")
    described = freshness.describe(stage, build, stage.inputs(build), hashes)
    publish.publish(
        stage, build, made, description=described, summary="made", took_s=1.0, hashes=hashes
    )


def read_members(archive: Path) -> dict[str, bytes]:
    """Read an archive's members but for its list."""
    with zipfile.ZipFile(archive) as packed:
        return {name: packed.read(name) for name in packed.namelist() if name != LISTING}


def write_archive(
    out: Path, contents: dict[str, bytes], *, added: list[zipfile.ZipInfo] = (), **changes
) -> None:
    """Write an archive with a true list, but for the changes.

    Args:
        out: Where.
        contents: What is in it.
        added: Members beside these, each empty and in the list.
        changes: Values of archive.json.

    """
    listed = [describe(path, content) for path, content in contents.items()]
    listed += [describe(info.filename, b"") for info in added]
    values = {"schema": 1, "persona": "luma", "program": "1", "members": listed, **changes}
    with zipfile.ZipFile(out, "w") as packed:
        for path, content in contents.items():
            packed.writestr(zipfile.ZipInfo(path), content)
        for info in added:
            packed.writestr(info, b"")
        packed.writestr(LISTING, json.dumps(values))


def describe(path: str, content: bytes) -> dict[str, object]:
    """Describe a member as archive.json does."""
    digest = hashlib.sha256(content).hexdigest()
    return {"path": path, "size_bytes": len(content), "sha256": digest}


def snapshot(*folders: Path) -> dict[str, bytes]:
    """Give every file below folders, but for locks and what only saves time."""
    return {
        str(file): file.read_bytes()
        for folder in folders
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.name != ".lock" and ".cache" not in file.parts
    }
