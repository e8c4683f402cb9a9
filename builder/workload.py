"""Measures what decides how long a build takes: the machine, the base, and the rows."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from builder import cpu
from builder.bases import base as bases
from builder.bases import families
from builder.bases.family import Family, derive
from builder.data import held_out, kinds, rows, schedule
from builder.data.rows import Row
from builder.data.schedule import Schedule
from builder.engine.forecast import Growing, Workload
from builder.errors import PersonaError
from builder.project import Build
from builder.stages import base, data, replay, train
from builder.training import choices
from builder.training.settings import Settings, resolve
from builder.training.speed import TRAINS

# The size of one of the base's own answers, with its prompt.
REPLAYED_BYTES = 150
# The fixed part of a stage, in its own unit: loading libraries and the base takes about as long as
# reading so many rows, or training on so many bytes (two cores, the embedded base).
START_ROWS, START_BYTES = 500.0, 35_000.0
# Increased when the meaning of a unit changes, so that older times are not used.
UNITS_VERSION = 3
log = logging.getLogger("builder")


def measure(build: Build) -> Workload:
    """Measure the workload of a build before it begins, as far as its files can be read."""
    key, busy_share = _name_machine(build), cpu.measure_busy_share()
    try:
        source = base.inputs(build).source
        key += f" | {source} | units {UNITS_VERSION}"
        with _quiet():
            read = build.persona.manifest
            found, _ = rows.collect(build.persona.data_files, read.data, read.identity)
    except (OSError, PersonaError):
        return Workload(key=key, busy_share=busy_share)
    held = held_out.choose(found, read.data.held_out)
    trained_rows = [row for row, is_held in zip(found, held, strict=True) if not is_held]
    if not trained_rows:
        return Workload(key=key, busy_share=busy_share)
    plan = _plan(build, found, trained_rows)
    settings = resolve(read.training, _find_family(build, source))
    trained = _count_trained_bytes(trained_rows, plan, settings)
    return Workload(
        key=key,
        units={
            data.NAME: START_ROWS + len(found),
            replay.NAME: 1.0 if plan.replayed else 0.0,
            train.NAME: START_BYTES + trained,
        },
        growing={train.NAME: _describe_steps(build, trained_rows, plan, settings, trained)},
        busy_share=busy_share,
    )


def _name_machine(build: Build) -> str:
    """Describe what decides the speed of this machine."""
    machine = build.machine
    name = machine.name if machine.kind == "gpu" else cpu.read_name()
    return f"{machine.kind}, {name}, {cpu.count_cores()} cores"


def _plan(build: Build, found: Sequence[Row], trained_rows: Sequence[Row]) -> Schedule:
    """Plan the training as the data stage will.

    Args:
        build: The build.
        found: Its rows, whose replies decide the kind of persona.
        trained_rows: Those that are not held out.

    """
    read = build.persona.manifest
    kind, _ = kinds.recognise([row.replies for row in found], read.own_words, read.kind)
    own = sum(row.pack is None for row in trained_rows)
    return schedule.plan(
        kind,
        own,
        len(trained_rows) - own,
        epochs=read.training.epochs,
        replay=read.training.replay,
        system_share=read.training.system_share if read.trained_system else 0.0,
    )


def _find_family(build: Build, source: str) -> Family:
    """Find the family of the base that will be trained; the usual values for an unknown one."""
    if source == bases.EMBEDDED:
        return families.SMOLLM2
    if (bases.peek(build.base) or {}).get("source") == source:
        return build.read_base().family
    return families.find_by_repository(source) or derive("")


def _count_trained_bytes(trained_rows: Sequence[Row], plan: Schedule, settings: Settings) -> float:
    """Count the bytes of text to train on: a token has about as many in any language."""
    weighed = sum(_count_bytes(row) * plan.weigh(row.pack) for row in trained_rows)
    epoch = weighed * plan.repeats + plan.replayed * REPLAYED_BYTES
    if settings.max_steps:
        trained = settings.max_steps * settings.batch_size * settings.gradient_accumulation
        return trained * epoch / _count_rows(trained_rows, plan)
    return plan.epochs * epoch


def _count_bytes(row: Row) -> int:
    """Count the bytes of a row's texts, and of its tools and calls as JSON."""
    texts = [message["content"] for message in row.messages]
    calls = [message["tool_calls"] for message in row.messages if "tool_calls" in message]
    parts = [json.dumps(part, ensure_ascii=False) for part in (*calls, row.tools) if part]
    return sum(len(text.encode()) for text in (*texts, *parts))


def _count_rows(trained_rows: Sequence[Row], plan: Schedule) -> int:
    """Count the rows of one epoch."""
    return sum(plan.weigh(row.pack) for row in trained_rows) * plan.repeats + plan.replayed


def _describe_steps(
    build: Build,
    trained_rows: Sequence[Row],
    plan: Schedule,
    settings: Settings,
    trained: float,
) -> Growing:
    """Describe the part of training that grows with the number of steps."""
    machine, rows = build.machine, _count_rows(trained_rows, plan)
    if machine.kind == "gpu":
        return Growing(what=TRAINS, units=trained)
    if choices.is_worth_compiling(settings, rows, plan.epochs, machine):
        return Growing(what=TRAINS, units=trained, absent=(choices.STARTS,))
    units = trained * choices.UNCOMPILED_FACTOR
    return Growing(what=TRAINS, units=units, absent=(choices.COMPILES,))


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress warnings, which the data stage will give again."""
    was = log.disabled
    log.disabled = True
    try:
        yield
    finally:
        log.disabled = was
