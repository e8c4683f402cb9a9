"""What decides how long a build's stages take: the machine, the base, and the rows."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from builder import processor
from builder.data import kinds, rows, schedule
from builder.data.rows import Row
from builder.data.schedule import Schedule
from builder.engine.forecast import Workload
from builder.errors import PersonaError
from builder.project import Build
from builder.stages import base, data, replay, train

# Characters of one of the base's own answers, with its prompt.
REPLAYED_CHARACTERS = 150
# Rows of a step where the manifest leaves them to the base's family.
BATCH_SIZE = 4
# What a stage does whatever the rows, in its own unit: it loads libraries and the base in about the
# time in which so many rows are read, or characters trained on (two cores, the embedded base).
START_ROWS, START_CHARACTERS = 500.0, 35_000.0
# Raised when a unit means something else: times in units of another meaning foretell nothing.
UNITS_VERSION = 1
log = logging.getLogger("builder")


def measure(build: Build) -> Workload:
    """Measure a build's work before it begins; what cannot be read yet counts as none of it."""
    key = _name_machine(build)
    try:
        key += f" | {base.inputs(build).source} | units {UNITS_VERSION}"
        with _quiet():
            read = build.persona.manifest
            found, _ = rows.collect(build.persona.data_files, read.data, read.identity)
    except (OSError, PersonaError):
        return Workload(key=key)
    if not found:
        return Workload(key=key)
    plan = _plan(build, found)
    return Workload(
        key=key,
        units={
            data.NAME: START_ROWS + len(found),
            replay.NAME: 1.0 if plan.replayed else 0.0,
            train.NAME: START_CHARACTERS + _count_trained_characters(build, found, plan),
        },
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


def _count_trained_characters(build: Build, found: Sequence[Row], plan: Schedule) -> float:
    training = build.persona.manifest.training
    own = sum(len(message["content"]) for row in found for message in row.messages)
    epoch = own * plan.repeats + plan.replayed * REPLAYED_CHARACTERS
    if training.max_steps:
        rows_a_step = (training.batch_size or BATCH_SIZE) * training.gradient_accumulation
        trained = training.max_steps * rows_a_step
        return trained * epoch / (len(found) * plan.repeats + plan.replayed)
    return plan.epochs * epoch


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep warnings back that the data stage gives."""
    was = log.disabled
    log.disabled = True
    try:
        yield
    finally:
        log.disabled = was
