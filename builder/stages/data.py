"""The data stage: read, check and split the rows, and encode them as token ids."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from builder.bases import base
from builder.bases.base import Base
from builder.data import dataset, held_out, languages, packs, preparation, rows, schedule
from builder.data.dataset import Profile
from builder.data.rows import Row
from builder.data.template import Template
from builder.data.texts import find_opening, first_word, is_json
from builder.engine import stage
from builder.engine.inputs import File, Tree, dropped_settings, not_compared, shown_as
from builder.engine.stage import Work
from builder.errors import DataError
from builder.escapes import quote
from builder.manifest import manifest
from builder.manifest.identity import Identity
from builder.project import Build
from builder.words import count

NAME, VERSION = "data", 9
WORDS = "reads the rows"
SHOWN_ROWS = 5
health = stage.always_healthy
unavailable = stage.always_available
note = stage.nothing_to_note
worker = stage.main_process
checkpoint = stage.never_resumed
log = logging.getLogger("builder")


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """The data files, the identity, and how rows are read and repeated."""

    files: tuple[File, ...]
    base: Tree
    kind: str | None
    identity: Identity | None
    data: manifest.Data
    packs: dict[str, str] = shown_as("pack")
    """Hashes of the packs in the manifest."""
    max_length: int = shown_as("training.max_length")
    epochs: float | None = shown_as("training.epochs")
    replay: float | None = shown_as("training.replay")
    system: str | None = shown_as("ollama.system")
    """The system text that rows are trained with, or None."""
    system_share: float = shown_as("training.system_share")
    """0 if no system text is trained."""
    dropped: dict[str, str] = dropped_settings()
    system_place: str = not_compared()
    """The line of the manifest that sets it, for messages."""


def inputs(build: Build, /) -> Inputs:
    """Declare the data files, the base's tokenizer and chat template, and the settings."""
    read = build.persona.manifest
    build.read_base()
    return Inputs(
        files=tuple(File(path) for path in build.persona.data_files),
        base=Tree(build.base),
        kind=read.kind,
        identity=read.identity,
        data=read.data,
        packs={name: packs.hash_content(name) for name in read.data.packs},
        max_length=read.training.max_length,
        epochs=read.training.epochs,
        replay=read.training.replay,
        system=read.trained_system,
        system_share=read.training.system_share if read.trained_system else 0.0,
        dropped=read.dropped,
        system_place=build.persona.where("ollama", "system") if read.trained_system else "",
    )


def output(build: Build, /) -> Path:
    """`dataset/`: train.jsonl, held_out.jsonl, profile, schedule and chat template."""
    return build.dataset


def check(build: Build, /) -> None:
    """Check the rows before a base is fetched."""
    read = build.persona.manifest
    rows.read(build.persona.data_files, read.data, read.identity)


def run(inputs: Inputs, work: Work, /) -> str:
    """Write the encoded rows; see `builder.data.rows` for the formats of rows."""
    paths = [file.path for file in inputs.files]
    chosen = base.read(inputs.base.path)
    family = chosen.family
    template = Template(inputs.base.path, inputs.data.template, family)
    found, problems = rows.collect(paths, inputs.data, inputs.identity)
    system = inputs.system
    if system and (special := template.special_in(system)):
        what = f"contains the special token {special!r}, expected plain text"
        problems.append(f"{inputs.system_place}: {what}")
        system = None
    encoded = preparation.encode(
        found, problems, template, system=system, max_length=inputs.max_length
    )
    held = held_out.choose(found, inputs.data.held_out)
    _check_trained(found, held)
    trained_rows = [row for row, is_held in zip(found, held, strict=True) if not is_held]
    own = sum(row.pack is None for row in trained_rows)
    profile = preparation.profile(
        encoded,
        template,
        own_words=inputs.identity.own_words if inputs.identity else [],
        kind_name=inputs.kind,
        own=own,
        packed=len(trained_rows) - own,
        plan=partial(
            schedule.plan,
            epochs=inputs.epochs,
            replay=inputs.replay,
            system_share=inputs.system_share,
        ),
    )
    trained, untrained = preparation.split(encoded, held, profile.schedule)
    work.out.mkdir()
    (work.out / dataset.TEMPLATE).write_text(template.jinja, "utf-8")
    profile.write(work.out)
    dataset.write_examples(work.out / dataset.TRAIN, trained)
    dataset.write_examples(work.out / dataset.HELD_OUT, untrained)
    _warn_of_few(profile)
    _warn_of_language(profile, chosen)
    _warn_of_other_forms(found, profile)
    return f"{_count_rows(found, held)}; {profile.reason}"


def _check_trained(found: list[Row], held: list[bool]) -> None:
    """Check that the persona's own rows, if any, are not all held out."""
    own = [is_held for row, is_held in zip(found, held, strict=True) if row.pack is None]
    if own and all(own):
        msg = f"all {len(own)} rows of your own are held out, expected some to train on"
        hint = "rows are held out by their question: set data.held_out = 0"
        raise DataError(msg, hint=hint)


def _count_rows(found: list[Row], held: list[bool]) -> str:
    """Count the rows and the held-out rows, separately for the persona's own and for packs."""
    own, of_packs = (
        [is_held for row, is_held in zip(found, held, strict=True) if (row.pack is None) is is_own]
        for is_own in (True, False)
    )
    if not of_packs:
        return f"{count(len(own), 'row')}, {sum(own)} held out"
    packed = f"{count(len(of_packs), 'row')} of packs, {sum(of_packs)} held out"
    own_rows = f"{count(len(own), 'row')} of your own, {sum(own)} held out"
    return f"{own_rows}, and {packed}" if own else packed


def _warn_of_few(profile: Profile) -> None:
    kind = profile.kind
    if profile.rows < kind.least_rows:
        log.warning(
            "%s may be too few for %s: %d are the fewest that were seen to pass every gate",
            count(profile.rows, "row"),
            kind.meaning,
            kind.least_rows,
        )


def _warn_of_language(profile: Profile, chosen: Base) -> None:
    """Say before training that the embedded base hardly speaks the language of the rows."""
    spoken = profile.languages[0] if profile.languages else languages.DEFAULT
    if chosen.kind == "embedded" and spoken != languages.DEFAULT:  # it speaks English
        log.warning(
            "most replies are in %s, which the embedded base hardly speaks: it learns these rows, "
            "and little beyond them; a larger base speaks it (docs/choosing.md)",
            languages.find_name(spoken),
        )


def _warn_of_other_forms(found: list[Row], profile: Profile) -> None:
    """Name the rows whose replies do not have the form of nearly all others."""
    if profile.is_json:  # a bracket may be missing
        places = [row.where for row in found if not all(map(is_json, row.replies))]
        told = "not answered in JSON, as the other rows are"
    else:
        opening = find_opening([reply for row in found for reply in row.replies])
        if opening is None or profile.kind_name == "identity":  # a name may well begin replies
            return
        places = [
            row.where for row in found if any(first_word(one) != opening for one in row.replies)
        ]
        told = f"the reply does not begin with {quote(opening)}, as those of the other rows do"
    if places:
        more = f" and {len(places) - SHOWN_ROWS} more" if len(places) > SHOWN_ROWS else ""
        log.warning("%s%s: %s", ", ".join(places[:SHOWN_ROWS]), more, told)
