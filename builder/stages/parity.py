"""The parity stage: the file's own template and tokenizer give the prompts that training saw, token for token."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from builder.bases import base
from builder.data.template import Template
from builder.engine.stage import Job
from builder.errors import GateError
from builder.gates import parity
from builder.gates.parity import Prompt
from builder.llama import Model

NAME = "parity"
VERSION = 1
HEAVY = True


def inputs(job: Job) -> list[Path]:
    """The file, the trained template, and the base's tokenizer."""
    return [job.gguf, job.dataset / "chat_template.jinja", job.base]


def settings(job: Job) -> dict[str, Any]:
    """Which template was asked for."""
    return {"data.template": job.persona.manifest.data.template}


def output(job: Job) -> Path:
    """`parity.json`: each shape, and whether the file's ids are the trained ones."""
    return job.parity


def health(_job: Job) -> str | None:
    """Nothing outside is needed."""
    return None


def run(job: Job, out: Path) -> str:
    """Render every shape on both sides, and check what the file says of its end and its template.

    Raises:
        GateError: The file would be asked another prompt than was trained, or would not know its end.

    """
    template = Template(job.base, job.persona.manifest.data.template, base.read(job.base).family)
    model = Model(job.gguf)
    _check_facts(job, template, model)
    rows = []
    for shape in parity.shapes(template.jinja):
        trained = template.render(shape.messages, shape.tools)
        served = model.render(shape.messages, shape.tools)
        sides = (
            Prompt("trained", trained, template.tokenize(trained)),
            Prompt("the file", served, model.tokenize(served)),
        )
        rows.append({"shape": shape.name, **parity.compare(shape, *sides, model.decode)})
    out.write_text(
        json.dumps({"schema": parity.SCHEMA, "shapes": rows}, indent=1, ensure_ascii=False) + "\n"
    )
    return f"{sum(row['same_ids'] for row in rows)} of {len(rows)} shapes the same to the token"


def _check_facts(job: Job, template: Template, model: Model) -> None:
    problems = []
    if (
        model.facts.get("tokenizer.chat_template")
        != (job.dataset / "chat_template.jinja").read_text()
    ):
        problems.append(
            f"parity: {job.gguf}: carries another chat template than was trained, expected {job.dataset / 'chat_template.jinja'}"
        )
    if model.eos != template.tokenizer.eos_token_id:
        problems.append(
            f"parity: {job.gguf}: ends with {model.decode([model.eos])!r}, expected {template.eos!r}: it would not stop"
        )
    if model.adds_bos != template.adds_bos:
        problems.append(
            f"parity: {job.gguf}: says that a BOS is {'added' if model.adds_bos else 'left off'}, expected as in training: it would stand twice or be missing"
        )
    if problems:
        raise GateError(*problems, hint="build again; if it stays so, the export is at fault")
