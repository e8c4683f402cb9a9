"""Gate trained: a persona with few rows gives their replies word for word."""

from __future__ import annotations

from collections.abc import Sequence

from builder.data.dataset import Example
from builder.data.questions import Question
from builder.evaluation.gate import Evidence
from builder.evaluation.result import Result, does_not_apply, judge_count
from builder.evaluation.subject import Subject
from builder.evaluation.texts import OWN, Text, reply_positions

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
    given, missed = 0, []
    for text, distance in zip(evidence.reference.texts, evidence.distances, strict=True):
        positions = reply_positions(text)
        if text.kind != OWN or not positions:
            continue
        if distance.expected[positions].all():
            given += 1
        else:
            missed.append(_find_question(text, evidence.rows))
    of = given + len(missed)
    note = f"{of} of its {len(own)} rows were compared" if 0 < of < len(own) else ""
    counted = Result(
        NAME,
        "not enough evidence",
        given,
        of,
        note=note,
        brief=f"trained {given}/{of}",
        missed=tuple(filter(None, missed)),
    )
    return judge_count(counted, evidence.subject.gates.limit(NAME))


def _find_question(text: Text, rows: Sequence[Example]) -> str | None:
    """Find the first question of the row that a text was cut from.

    There is none if the rows were prepared anew since, as `show` does.
    """
    questions = (
        message["content"]
        for row in rows
        if row.input_ids[: len(text.ids)] == text.ids
        for message in row.messages
        if message["role"] == "user"
    )
    return next(questions, None)
