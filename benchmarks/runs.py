"""Copies of personas, their stages run one by one, and builds at once: what benchmarks share."""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from builder.engine.stage import Stage, Work
from builder.machine import Machine
from builder.project import Build

ROOT = Path(__file__).parent.parent
Item = TypeVar("Item")


@dataclass(frozen=True)
class Place:
    """Where a build runs: some CPU cores (all where none is listed), and a GPU or none."""

    cores: tuple[int, ...]
    gpu: int | None


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


def add_places(parser: argparse.ArgumentParser) -> None:
    """Add the options that say where builds run."""
    parser.add_argument("--at-once", type=int, default=1, help="builds")
    parser.add_argument("--cores", type=int, default=0, help="of each build; 0 is all")
    parser.add_argument("--first-core", type=int, default=0)
    parser.add_argument("--gpus", type=int, default=0, help="0 is the CPU alone")


def run_at_once(
    run: Callable[..., dict[str, Any]], wanted: Sequence[tuple[Any, ...]], options: Namespace
) -> Iterator[dict[str, Any]]:
    """Run `run(place, *arguments)` for each of `wanted`, as many at once as there are places."""
    free = [_find_place(slot, options) for slot in range(options.at_once)]

    def run_somewhere(*arguments: Any) -> dict[str, Any]:
        place = free.pop()
        try:
            return run(place, *arguments)
        finally:
            free.append(place)

    with ThreadPoolExecutor(options.at_once) as pool:
        for done in as_completed([pool.submit(run_somewhere, *one) for one in wanted]):
            yield done.result()


def _find_place(slot: int, options: Namespace) -> Place:
    start = options.first_core + slot * options.cores
    gpu = slot % options.gpus if options.gpus else None
    return Place(tuple(range(start, start + options.cores)), gpu)


def begin_identity(language: str, root: Path, place: Place) -> Path:
    """Begin a persona of a language's pack, as a person does; give its folder."""
    (root / "personas").mkdir()
    shutil.copy(ROOT / "Modelfile.j2", root)
    options = ("--kind", "identity", "--name", "Nova", "--author", "Ana Quist")
    run_python(root, place, "-m", "builder", "new", "nova", *options, "--language", language)
    return root / "personas" / "nova"


def set_seed(manifest: Path, seed: int) -> None:
    """Write a seed into a manifest."""
    text, header = manifest.read_text("utf-8"), "[training]\n"
    seeds = f"{header}seed = {seed}\nlora_seed = {seed}\n"
    manifest.write_text(
        text.replace(header, seeds, 1) if header in text else f"{text}\n{seeds}", "utf-8"
    )


def run_python(root: Path, place: Place, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a project's folder, in its place and without Ollama."""
    keep_to = ["taskset", "-c", ",".join(map(str, place.cores))] if place.cores else []
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        "OLLAMA_HOST": "",
        "PATH": os.defpath,
        "CUDA_VISIBLE_DEVICES": "-1" if place.gpu is None else str(place.gpu),
    }
    return subprocess.run(
        [*keep_to, sys.executable, *arguments],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def print_result(result: dict[str, Any], *, as_json: bool) -> None:
    """Print an object, or its figures in a line."""
    if as_json:
        print(json.dumps(result, ensure_ascii=False), flush=True)
        return
    shown = {
        key: value
        for key, value in result.items()
        if "_verdict" not in key and not isinstance(value, list | dict)
    }
    print(" ".join(f"{key}={value}" for key, value in shown.items()), flush=True)
