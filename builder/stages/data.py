"""The data stage: read, check and split the rows, and turn them into token ids."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

from builder import progress
from builder.bases import base
from builder.data import dataset, languages, packs, schedule
from builder.data.dataset import Example, Profile
from builder.data.kinds import LEAST_JSON_SHARE, recognise
from builder.data.rows import Row, collect
from builder.data.template import Message, Template
from builder.data.texts import is_json
from builder.engine.stage import Job
from builder.errors import DataError
from builder.persona import Persona

NAME = "data"
VERSION = 2
HEAVY = False
BUCKETS = 1 << 32
REPORT_EVERY_ROWS = 500
# From so many rows on some are held out where the manifest does not say how many.
HOLD_OUT_FROM_ROWS, HELD_OUT_SHARE = 100, 0.1
log = logging.getLogger("builder")


def inputs(job: Job) -> list[Path]:
    """The data files, and the base for its tokenizer and template."""
    return [*job.persona.data_files, job.base]


def settings(job: Job) -> dict[str, Any]:
    """Who it is, how rows are read and repeated, and the system text that they carry."""
    manifest = job.persona.manifest
    data, training = manifest.data.model_dump(exclude={"files"}), manifest.training
    return {
        "kind": manifest.kind,
        **manifest.settings("identity"),
        **{f"data.{key}": value for key, value in data.items()},
        **{f"pack {name}": packs.hash_content(name) for name in manifest.data.packs},
        "training.max_length": training.max_length,
        "training.epochs": training.epochs,
        "training.replay": training.replay,
        **manifest.system_settings(),
    }


def output(job: Job) -> Path:
    """`dataset/`: train.jsonl, held_out.jsonl, profile.json and the chat template."""
    return job.dataset


def health(_job: Job) -> str | None:
    """Nothing outside is needed."""
    return None


def run(job: Job, out: Path) -> str:
    """Write the encoded rows; see `builder.rows` for what a row may be."""
    manifest = job.persona.manifest
    template = Template(job.base, manifest.data.template, base.read(job.base).family)
    rows, problems = collect(job.persona)
    system = manifest.trained_system
    if system and (special := template.special_in(system)):
        where = f"{job.persona.folder / 'persona.toml'}: ollama.system"
        problems.append(f"{where}: holds the special token {special!r}, expected plain text")
        system = None
    plain = _encode(rows, problems, template, manifest.training.max_length)
    with_system = _add_system(rows, plain, system, template, manifest.training.max_length)
    held = choose_held_out(rows, manifest.data.held_out)
    if all(held):
        place = f"{job.persona.folder / 'persona.toml'}: data.held_out"
        msg = f"{place}: all {len(rows)} rows are held out, expected some to train on"
        raise DataError(msg, hint="lower data.held_out")
    profile = _profile(
        job.persona, template, plain, rows=held.count(False), has_system=system is not None
    )
    out.mkdir()
    (out / dataset.TEMPLATE).write_text(template.jinja)
    profile.write(out)
    trained = [
        pair
        for pair, is_held in zip(zip(plain, with_system, strict=True), held, strict=True)
        if not is_held
    ]
    dataset.write_examples(out / dataset.TRAIN, _repeat(trained, profile.schedule))
    kept = [later for later, is_held in zip(with_system, held, strict=True) if is_held]
    dataset.write_examples(out / dataset.HELD_OUT, kept)
    _warn_of_few(profile)
    return f"{len(rows)} rows, {sum(held)} held out; {profile.reason}"


def _profile(
    persona: Persona, template: Template, examples: list[Example], *, rows: int, has_system: bool
) -> Profile:
    own_words = persona.manifest.own_words
    rows_of_replies = [dataset.list_messages([example], "assistant") for example in examples]
    replies = dataset.list_messages(examples, "assistant")
    kind, reason = recognise(rows_of_replies, own_words, persona.manifest.kind)
    longest = max(_count_reply_tokens(example) for example in examples)
    planned = schedule.plan(kind, rows, persona.manifest.training, has_system=has_system)
    return Profile(
        kind_name=kind.name,
        reason=reason,
        rows=rows,
        longest_reply_tokens=longest,
        end_of_turn=template.end_of_turn,
        is_json=sum(map(is_json, replies)) >= LEAST_JSON_SHARE * len(replies),
        languages=languages.count_languages(replies),
        own_languages=languages.count_own_languages(replies, own_words),
        schedule=planned,
    )


def _count_reply_tokens(example: Example) -> int:
    """Count the tokens of the longest reply of a conversation."""
    longest = length = 0
    for label in example.labels:
        length = length + 1 if label >= 0 else 0
        longest = max(longest, length)
    return longest


def _repeat(trained: list[tuple[Example, Example]], planned: schedule.Schedule) -> list[Example]:
    """Give each row's forms, with how often each comes in an epoch."""
    found = []
    for plain, with_system in trained:
        if not with_system.has_system:  # none is served, or the row has one of its own
            found.append(replace(plain, repeats=planned.repeats))
            continue
        forms = (plain, planned.plain_repeats), (with_system, planned.system_repeats)
        found += [replace(form, repeats=repeats) for form, repeats in forms if repeats]
    return found


def _warn_of_few(profile: Profile) -> None:
    kind = profile.kind
    if profile.rows < kind.least_rows:
        log.warning(
            "%d row%s may be too few for %s: %d are the fewest that were seen to pass every gate",
            profile.rows,
            "" if profile.rows == 1 else "s",
            kind.meaning,
            kind.least_rows,
        )


def choose_held_out(rows: list[Row], share: float | None) -> list[bool]:
    """Say of each row whether it is held out: none of few rows, where the manifest does not ask."""
    if share is None:
        share = HELD_OUT_SHARE if len(rows) >= HOLD_OUT_FROM_ROWS else 0.0
    return [is_held_out(row, share) for row in rows]


def is_held_out(row: Row, share: float) -> bool:
    """Decide by the question's own hash, so that adding a row moves no other."""
    bucket = int.from_bytes(hashlib.sha256(row.question.encode()).digest()[:4])
    return bucket < share * BUCKETS


def _encode(
    rows: list[Row], problems: list[str], template: Template, max_length: int
) -> list[Example]:
    """Encode rows that were read; raise with what could not be read and what cannot be trained on, all at once."""
    seen: dict[str, str] = {}
    encoded = []
    for number, row in enumerate(rows):
        if number % REPORT_EVERY_ROWS == 0:
            progress.report(NAME, number, len(rows), "rows")
        content = json.dumps(row.messages, ensure_ascii=False)
        if content in seen:
            problems.append(f"{row.where}: is the same as {seen[content]}, expected no row twice")
        seen.setdefault(content, row.where)
        special = next(
            filter(None, (template.special_in(message["content"]) for message in row.messages)),
            None,
        )
        if special:
            problems.append(
                f"{row.where}: holds the special token {special!r}, expected plain text"
            )
            continue
        try:
            example = _encode_one(row.messages, template, max_length)
        except DataError as error:
            problems += [f"{row.where}: {problem}" for problem in error.problems]
            continue
        encoded.append(example)
    if problems:
        raise DataError(*problems)
    return encoded


def _encode_one(messages: list[Message], template: Template, max_length: int) -> Example:
    coded = template.encode(messages)
    if len(coded.ids) > max_length:
        msg = (
            f"is {len(coded.ids)} tokens long, expected at most {max_length} (training.max_length)"
        )
        raise DataError(msg)
    return Example(messages, coded.ids, coded.labels())


def _add_system(
    rows: list[Row],
    examples: list[Example],
    system: str | None,
    template: Template,
    max_length: int,
) -> list[Example]:
    """Put the served system text before each conversation that has none of its own."""
    if system is None:
        return examples
    problems, found = [], []
    for row, example in zip(rows, examples, strict=True):
        if example.messages[0]["role"] == "system":
            found.append(example)
            continue
        messages = [{"role": "system", "content": system}, *example.messages]
        try:
            coded = _encode_one(messages, template, max_length)
            found.append(replace(coded, has_system=True))
        except DataError as error:
            problems += [
                f"{row.where}: with ollama.system before it: {problem}"
                for problem in error.problems
            ]
    if problems:
        hint = "shorten ollama.system, raise training.max_length, or set training.system_share = 0"
        raise DataError(*problems, hint=hint)
    return found
