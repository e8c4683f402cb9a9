"""What decides how long a build's stages take: the machine, the base, and the rows."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from builder import processor
from builder.bases import base as bases
from builder.bases import families
from builder.bases.family import Family, derive
from builder.data import kinds, rows, schedule
from builder.data.rows import Row
from builder.data.schedule import Schedule
from builder.engine.forecast import Growing, Workload
from builder.errors import PersonaError
from builder.project import Build
from builder.stages import base, data, replay, train
from builder.training import choices
from builder.training.settings import Settings, resolve
from builder.training.speed import TRAINS

# Bytes of one of the base's own answers, with its prompt.
REPLAYED_BYTES = 150
# What a stage does whatever the rows, in its own unit: it loads libraries and the base in about the
# time in which so many rows are read, or bytes trained on (two cores, the embedded base).
START_ROWS, START_BYTES = 500.0, 35_000.0
# Raised when a unit means something else: times in units of another meaning foretell nothing.
UNITS_VERSION = 2
log = logging.getLogger("builder")


def measure(build: Build) -> Workload:
    """Measure a build's work before it begins; what cannot be read yet counts as none of it."""
    key, busy_share = _name_machine(build), processor.measure_busy_share()
    try:
        source = base.inputs(build).source
        key += f" | {source} | units {UNITS_VERSION}"
        with _quiet():
            read = build.persona.manifest
            found, _ = rows.collect(build.persona.data_files, read.data, read.identity)
    except (OSError, PersonaError):
        return Workload(key=key, busy_share=busy_share)
    if not found:
        return Workload(key=key, busy_share=busy_share)
    plan = _plan(build, found)
    settings = resolve(read.training, _find_family(build, source))
    trained = _count_trained_bytes(found, plan, settings)
    return Workload(
        key=key,
        units={
            data.NAME: START_ROWS + len(found),
            replay.NAME: 1.0 if plan.replayed else 0.0,
            train.NAME: START_BYTES + trained,
        },
        growing={train.NAME: _describe_steps(build, len(found), plan, settings, trained)},
        busy_share=busy_share,
    )


def _name_machine(build: Build) -> str:
    """Name what decides the speed of this machine."""
    machine = build.machine
    name = machine.name if machine.kind == "gpu" else processor.read_name()
    return f"{machine.kind}, {name}, {processor.count_cores()} cores"


def _plan(build: Build, found: Sequence[Row]) -> Schedule:
    """Plan the training as the data stage will, but for what the tokens decide."""
    read = build.persona.manifest
    replies = [
        [message["content"] for message in row.messages if message["role"] == "assistant"]
        for row in found
    ]
    kind, _ = kinds.recognise(replies, read.own_words, read.kind)
    return schedule.plan(
        kind,
        len(found),
        epochs=read.training.epochs,
        replay=read.training.replay,
        system_share=read.training.system_share if read.trained_system else 0.0,
    )


def _find_family(build: Build, source: str) -> Family:
    """Find the family of the base that will be trained; of an unknown one what is usual."""
    if source == bases.EMBEDDED:
        return families.SMOLLM2
    if (bases.peek(build.base) or {}).get("source") == source:
        return build.read_base().family
    return families.find_by_repository(source) or derive("")


def _count_trained_bytes(found: Sequence[Row], plan: Schedule, settings: Settings) -> float:
    """Count the bytes of text that are trained on: a token has about as many in any language."""
    own = sum(len(message["content"].encode()) for row in found for message in row.messages)
    epoch = own * plan.repeats + plan.replayed * REPLAYED_BYTES
    if settings.max_steps:
        trained = settings.max_steps * settings.batch_size * settings.gradient_accumulation
        return trained * epoch / _count_rows(len(found), plan)
    return plan.epochs * epoch


def _count_rows(found: int, plan: Schedule) -> int:
    """Count the rows of one epoch."""
    return found * plan.repeats + plan.replayed


def _describe_steps(
    build: Build, found: int, plan: Schedule, settings: Settings, trained: float
) -> Growing:
    """Describe the piece of training that grows with its steps."""
    machine, rows = build.machine, _count_rows(found, plan)
    if machine.kind == "gpu":
        return Growing(what=TRAINS, units=trained)
    if choices.is_worth_compiling(settings, rows, plan.epochs, machine):
        return Growing(what=TRAINS, units=trained, absent=(choices.STARTS,))
    units = trained * choices.UNCOMPILED_FACTOR
    return Growing(what=TRAINS, units=units, absent=(choices.COMPILES,))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep warnings back that the data stage gives."""
    was = log.disabled
    log.disabled = True
    try:
        yield
    finally:
        log.disabled = was
