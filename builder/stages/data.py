"""Stage 2, data: read, check and split the rows, and turn them into token ids."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from builder import base, progress
from builder.conversation import Template
from builder.errors import DataError
from builder.rows import Row, collect
from builder.stage import Job

NAME = "data"
VERSION = 1
HEAVY = False
BUCKETS = 1 << 32
REPORT_EVERY_ROWS = 500


def inputs(job: Job) -> list[Path]:
    """The data files, and the base for its tokenizer and template."""
    return [*job.persona.data_files, job.base]


def settings(job: Job) -> dict[str, Any]:
    """Who it is, how rows are read, and how long one may be."""
    manifest = job.persona.manifest
    data = manifest.data.model_dump(exclude={"files"})
    return {
        **{f"identity.{key}": value for key, value in manifest.identity.model_dump().items()},
        **{f"data.{key}": value for key, value in data.items()},
        "training.max_length": manifest.training.max_length,
    }


def output(job: Job) -> Path:
    """`dataset/`: train.jsonl, held_out.jsonl and the chat template."""
    return job.dataset


def health(_job: Job) -> str | None:
    """Nothing outside is needed."""
    return None


def run(job: Job, out: Path) -> str:
    """Write the encoded rows; see `builder.rows` for what a row may be."""
    manifest = job.persona.manifest
    template = Template(job.base, manifest.data.template, base.read(job.base).family)
    rows, problems = collect(job.persona)
    encoded = _encode(rows, problems, template, manifest.training.max_length)
    out.mkdir()
    (out / "chat_template.jinja").write_text(template.jinja)
    held = [is_held_out(row, manifest.data.held_out) for row in rows]
    if all(held):
        msg = f"{job.persona.data_files[0]}: all {len(rows)} rows are held out, expected some to train on"
        raise DataError(msg, hint="lower data.held_out")
    for name, wanted in (("train", False), ("held_out", True)):
        lines = [json.dumps(line, ensure_ascii=False) for line, kept in zip(encoded, held, strict=True) if kept is wanted]
        (out / f"{name}.jsonl").write_text("".join(line + "\n" for line in lines))
    return f"{len(rows)} rows, {sum(held)} held out"


def is_held_out(row: Row, share: float) -> bool:
    """Decide by the question's own hash, so that adding a row moves no other."""
    bucket = int.from_bytes(hashlib.sha256(row.question.encode()).digest()[:4])
    return bucket < share * BUCKETS


def _encode(rows: list[Row], problems: list[str], template: Template, max_length: int) -> list[dict[str, Any]]:
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
        special = next(filter(None, (template.special_in(message["content"]) for message in row.messages)), None)
        if special:
            problems.append(f"{row.where}: holds the special token {special!r}, expected plain text")
            continue
        try:
            coded = template.encode(row.messages)
        except DataError as error:
            problems += [f"{row.where}: {problem}" for problem in error.problems]
            continue
        if len(coded.ids) > max_length:
            problems.append(f"{row.where}: is {len(coded.ids)} tokens long, expected at most {max_length} (training.max_length)")
        encoded.append({"messages": row.messages, "input_ids": coded.ids, "labels": coded.labels()})
    if problems:
        raise DataError(*problems)
    return encoded
