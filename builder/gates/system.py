"""Gate system: with the served system text it still gives its trained replies."""

from __future__ import annotations

import numpy as np

from builder.data.dataset import Example
from builder.data.questions import Question
from builder.data.template import IGNORED, Message
from builder.evaluation.gate import Evidence
from builder.evaluation.result import Result, does_not_apply
from builder.evaluation.statistics import judge_greatest
from builder.evaluation.subject import Subject
from builder.llama import Model

NAME = "system"
TOLD = "gives its trained replies under the served system text as without it"
FAILED = "gives its trained replies less surely under the served system text"
ADVICE = "train with the system text: set training.system_share to 0.5, or shorten the text"
IS_TOLD = True
ROWS = 12
MAX_TOKENS = 512


def questions(_subject: Subject, _share: float) -> list[Question]:
    """List nothing: it judges probabilities."""
    return []


def judge(evidence: Evidence) -> Result:
    """Compare the loss of trained replies with and without the served system text, row by row."""
    system = evidence.subject.system
    if system is None:
        return does_not_apply(NAME, "no system text is served")
    rows = [example for example in evidence.rows if not _has_own_system(example)]
    keys = (repr((example.conversation, example.tools)) for example in rows)
    distinct = list(dict(zip(keys, rows, strict=True)).values())
    added = []
    for example in distinct[:: -(-len(distinct) // ROWS)] if distinct else []:
        messages = example.conversation
        served = [{"role": "system", "content": system}, *messages]
        plain, under = (_reply_loss(evidence.model, form, example) for form in (messages, served))
        if plain is not None and under is not None:
            added.append(under - plain)
    limit = evidence.subject.gates.limit(NAME)
    mean = float(np.mean(added)) if added else 0.0
    return Result(
        NAME,
        judge_greatest(added, limit),
        limit=limit,
        note=f"adds {mean:+.3f} nats a token to the loss of {len(added)} trained replies, "
        f"limit {limit:g}",
        figures={"added_nats": mean, "rows": len(added)},
    )


def _has_own_system(example: Example) -> bool:
    return bool(example.conversation[0]["role"] == "system")


def _reply_loss(model: Model, messages: list[Message], example: Example) -> float | None:
    """Compute the mean loss of the last reply in nats, with its end-of-turn token; None if long."""
    reply: list[int] = []
    for token, label in zip(reversed(example.input_ids), reversed(example.labels), strict=True):
        if label == IGNORED:
            break
        reply.insert(0, token)
    prompt = model.tokenize(model.render(messages[:-1], example.tools or None))
    if len(prompt) + len(reply) > MAX_TOKENS:
        return None
    log_probs = model.next_log_probs([*prompt, *reply])  # (T, V)
    at = np.arange(len(prompt) - 1, len(prompt) + len(reply) - 1)
    return float(-log_probs[at, reply].mean())
