"""Gathers the contents of the page from the files of a build."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder import files, last_build, targets
from builder.bases.base import Base
from builder.data.dataset import Profile
from builder.engine import stamps
from builder.engine.stamps import Stamp
from builder.evaluation import report
from builder.evaluation.report import Report
from builder.gates import parity
from builder.last_build import Stop
from builder.machine import Machine
from builder.ollama import registered
from builder.ollama.registered import Receipt
from builder.project import Build
from builder.stages import register, smoke, train
from builder.training import rates

# The schema of adapter/training.json, which the train stage writes.
TRAINING_SCHEMA = 1
# What the page shows of each shape.
SHOWN_OF_SHAPE = {"shape", "trained_tokens", "tokens"}


@dataclass(frozen=True, kw_only=True)
class Contents:
    """The contents of the page, as values."""

    name: str
    """The name of the persona's folder."""
    title: str
    """The persona's name for itself."""
    authors: list[str]
    base: Base
    profile: Profile
    machine: Machine
    """The machine that writes the page; the build may be from another one."""
    stamps: dict[str, Stamp]
    """The stamps of the stages that are built, in order."""
    stop: Stop | None = None
    """None if the last build finished."""
    found: Report | None = None
    """None if the present file was not examined."""
    receipt: Receipt | None = None
    is_registered: bool = False
    """Whether the receipt is of the examined model, not of an earlier one."""
    losses: list[float]
    learning_rates: list[float]
    """The planned learning rate for each loss."""
    shapes: list[dict[str, Any]]
    """The comparisons of the parity stage."""
    modelfile: str = ""
    size_bytes: int | None = None
    """The size of the GGUF."""

    @property
    def is_refused(self) -> bool:
        """Whether the examined file was refused by its gates."""
        return self.found is not None and self.stop is not None and self.stop.stage == smoke.NAME


def gather(build: Build) -> Contents:
    """Gather the contents from the files of a build.

    Raises:
        NotBuiltError: The base or the data stage has not run.
        ToolError: An examination is of another version.

    """
    stamps = _read_stamps(build)
    stop, examined = last_build.find_stop(build.folder), last_build.find_examination(build.folder)
    found = report.read(examined) if examined else None
    receipt = registered.read(build.receipt)
    losses = _read_list(build.adapter / "training.json", "losses", TRAINING_SCHEMA, float)
    return Contents(
        name=build.name,
        title=build.persona.title,
        authors=build.persona.manifest.texts("author"),
        base=build.read_base(),
        profile=build.read_profile(),
        machine=build.machine,
        stamps=stamps,
        stop=stop,
        found=found,
        receipt=receipt,
        is_registered=receipt is not None
        and found is not None
        and stop is None
        and _is_made_of(stamps, register.NAME, build.smoke, smoke.NAME),
        losses=losses,
        learning_rates=_plan_learning_rates(stamps, len(losses)),
        shapes=[
            shape
            for shape in _read_list(build.parity, "shapes", parity.SCHEMA, dict)
            if shape.keys() >= SHOWN_OF_SHAPE
        ],
        modelfile=_read_modelfile(build.modelfile),
        size_bytes=build.gguf.stat().st_size if build.gguf.exists() else None,
    )


def plan_learning_rates(steps: int, peak: float, warmup_steps: int) -> list[float]:
    """Compute the learning rate of each step: linear warmup, then linear decay."""
    return [peak * rates.find_factor(step, warmup_steps, steps) for step in range(steps)]


def _plan_learning_rates(stamps: dict[str, Stamp], steps: int) -> list[float]:
    settings = stamps[train.NAME].description.settings if train.NAME in stamps else {}
    peak, warmup_steps = (
        settings.get(f"training.{key}") for key in ("learning_rate", "warmup_steps")
    )
    if not isinstance(peak, int | float) or not isinstance(warmup_steps, int):
        return []  # they are missing, or damaged
    return plan_learning_rates(steps, peak, warmup_steps)


def _read_stamps(build: Build) -> dict[str, Stamp]:
    found = {stage.NAME: stamps.read(build.folder, stage.NAME) for stage in targets.MODEL}
    return {name: stamp for name, stamp in found.items() if stamp}


def _is_made_of(stamps: dict[str, Stamp], user: str, output: Path, maker: str) -> bool:
    """Say whether a stage's output was made from another stage's present output."""
    if user not in stamps or maker not in stamps:
        return False
    return stamps[user].description.inputs.get(output.name) == stamps[maker].output


def _read_modelfile(path: Path) -> str:
    """Read the Modelfile; "" if there is none, or it is damaged."""
    try:
        return files.read_text(path)
    except (FileNotFoundError, ValueError):
        return ""


def _read_list(path: Path, key: str, schema: int, kind: type) -> list[Any]:
    """Read a list in a file; empty if there is none of this schema and type."""
    values = files.read_json(path)
    is_known = isinstance(values, dict) and values.get("schema") == schema
    items = values.get(key) if is_known else None
    is_whole = isinstance(items, list) and all(isinstance(item, kind) for item in items)
    return list(items or []) if is_whole else []
