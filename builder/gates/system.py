"""Gate system: under the served system text it still gives the replies that it was trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from builder.data import dataset
from builder.data.template import IGNORED
from builder.evaluation.evidence import Result, judge_greatest
from builder.evaluation.subject import Subject

if TYPE_CHECKING:
    from pathlib import Path

    from builder.data.dataset import Example
    from builder.llama import Model

NAME = "system"
TOLD = "gives its trained replies under the served system text as without it"
FAILED = "gives its trained replies less surely under the served system text"
ADVICE = "train with the system text: set training.system_share to 0.5, or shorten the text"
ROWS = 12
MAX_TOKENS = 512


def judge(subject: Subject, model: Model, rows: Path) -> Result:
    """Compare the loss of trained replies with the served system text and without it, row by row."""
    if subject.system is None:
        return Result(NAME, "does not apply", note="no system text is served")
    found = [example for example in dataset.read_examples(rows) if not _has_own_system(example)]
    distinct = list({repr(_without_system(example)): example for example in found}.values())
    added = []
    for example in distinct[:: -(-len(distinct) // ROWS)] if distinct else []:
        messages = _without_system(example)
        served = [{"role": "system", "content": subject.system}, *messages]
        plain, under = (_reply_loss(model, form, example) for form in (messages, served))
        if plain is not None and under is not None:
            added.append(under - plain)
    limit = subject.gates.limit(NAME)
    mean = float(np.mean(added)) if added else 0.0
    note = f"adds {mean:+.3f} nats a token to the loss of {len(added)} trained replies, limit {limit:g}"
    figures = {"added_nats": mean, "rows": len(added)}
    return Result(NAME, judge_greatest(added, limit), limit=limit, note=note, figures=figures)


def _has_own_system(example: Example) -> bool:
    return example.messages[0]["role"] == "system" and not example.has_system


def _without_system(example: Example) -> list[dict[str, str]]:
    return example.messages[1:] if example.has_system else example.messages


def _reply_loss(model: Model, messages: list[dict[str, str]], example: Example) -> float | None:
    """Give the mean loss of the last reply and its end-of-turn token, in nats; None of a long one."""
    reply: list[int] = []
    for token, label in zip(reversed(example.input_ids), reversed(example.labels), strict=True):
        if label == IGNORED:
            break
        reply.insert(0, token)
    prompt = model.tokenize(model.render(messages[:-1]))
    if len(prompt) + len(reply) > MAX_TOKENS:
        return None
    log_probs = model.next_log_probs([*prompt, *reply])  # (T, V)
    at = np.arange(len(prompt) - 1, len(prompt) + len(reply) - 1)
    return float(-log_probs[at, reply].mean())
