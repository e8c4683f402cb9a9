"""Gate trained: a persona with few rows gives their replies word for word."""

from __future__ import annotations

from builder.data.questions import Question
from builder.evaluation.gate import Evidence
from builder.evaluation.result import Result, does_not_apply, judge_count
from builder.evaluation.subject import Subject
from builder.evaluation.texts import OWN, reply_positions

NAME = "trained"
TOLD = "gives {right} of {of} trained replies word for word"
FAILED = "gives only {right} of {of} trained replies word for word"
ADVICE = (
    "take a larger base, raise training.epochs, or write shorter replies; a small base learns a "
    "name and a manner, and hardly any facts"
)
IS_TOLD = True
# From more rows a model learns the style, not the words; with so many, rows are held out instead.
MOST_ROWS = 100


def questions(_subject: Subject, _share: float) -> list[Question]:
    """List nothing: it judges probabilities."""
    return []


def judge(evidence: Evidence) -> Result:
    """Compare the share of its own replies whose tokens are all the likeliest with `gates.trained`.

    These are the replies that greedy decoding gives.
    """
    own = {repr(row.conversation) for row in evidence.rows if row.pack is None}
    if not own:
        return does_not_apply(NAME, "all its rows come from packs")
    if len(own) >= MOST_ROWS:
        return does_not_apply(NAME, f"it has {len(own)} rows, too many to be memorised")
    given = []
    for text, distance in zip(evidence.reference.texts, evidence.distances, strict=True):
        positions = reply_positions(text)
        if text.kind == OWN and positions:
            given.append(bool(distance.expected[positions].all()))
    counted = Result(
        NAME,
        "not enough evidence",
        sum(given),
        len(given),
        brief=f"trained {sum(given)}/{len(given)}",
    )
    return judge_count(counted, evidence.subject.gates.limit(NAME))
