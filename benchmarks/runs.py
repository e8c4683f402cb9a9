"""Copies of personas, and their stages run one by one: what several benchmarks need."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import TypeVar

from builder.engine.stage import Stage, Work
from builder.machine import Machine
from builder.project import Build

ROOT = Path(__file__).parent.parent
Item = TypeVar("Item")


def copy_persona(name: str, root: Path, *, most_rows: int | None = None) -> Path:
    """Copy a persona and Modelfile.j2 into a project of their own; return the persona's folder.

    Args:
        name: A folder in personas/.
        root: The project's folder.
        most_rows: Rows to keep of each data file, spread over it; None keeps all.

    """
    folder = root / "personas" / name
    shutil.copytree(ROOT / "personas" / name, folder)
    shutil.copy(ROOT / "Modelfile.j2", root)
    if most_rows is not None:
        for path in folder.glob("*.csv"):
            _keep_records(path, most_rows)
        for path in folder.glob("*.jsonl"):
            lines = path.read_text("utf-8").splitlines(keepends=True)
            path.write_text("".join(spread(lines, most_rows)), "utf-8")
    return folder


def spread(items: list[Item], most: int) -> list[Item]:
    """Take at most so many items, from the whole of a list."""
    if most >= len(items):
        return items
    return [items[index * len(items) // most] for index in range(most)]


def run_stage(stage: Stage, build: Build, scratch: Path, machine: Machine | None = None) -> None:
    """Run one stage in this process, without a stamp; its last output is deleted before."""
    inputs, out = stage.inputs(build), stage.output(build)
    for folder in (scratch, build.logs):
        folder.mkdir(parents=True, exist_ok=True)
    if out.is_dir():
        shutil.rmtree(out)
    out.unlink(missing_ok=True)
    stage.run(inputs, Work(out=out, scratch=scratch, machine=machine or build.machine))


def _keep_records(path: Path, most: int) -> None:
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = [fields for fields in csv.reader(file) if fields]
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *spread(rows, most)])
