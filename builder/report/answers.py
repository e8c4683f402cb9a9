"""The answers on the page, cut so that they fit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from markupsafe import escape as escape_html

from builder.escapes import escape
from builder.evaluation.report import GateAnswer, OwnAnswer, Report
from builder.gates import retention
from builder.report.texts import cut

# The room on a page under 1 MB, for all answers, and for forgotten tasks, which are shown again.
ROOM_BYTES, FORGOTTEN_BYTES = 700_000, 100_000
# The size of the markup around an answer.
MARKUP_BYTES = 600
# The possible lengths of each text: the largest is used with which all answers fit.
SHOWN_CHARACTERS = (2000, 600, 240, 80, 40)


@dataclass(frozen=True)
class Shown:
    """A question with the answers of the base and of the persona, for the page."""

    group: str
    ask: str
    answer: str
    baseline: str | None
    """None if the base was not asked."""
    is_right: bool | None
    """None if it is not judged."""
    note: str
    """A note about the answer."""


@dataclass(frozen=True)
class Group:
    """The answers to the questions of a gate, or of the manifest."""

    name: str
    answers: list[Shown]

    @property
    def right(self) -> int:
        """The number of right answers."""
        return sum(answer.is_right is True for answer in self.answers)

    @property
    def judged(self) -> int:
        """The number of answers that are judged."""
        return sum(answer.is_right is not None for answer in self.answers)


def list_groups(found: Report) -> tuple[list[Group], int]:
    """Group the answers by gate, and count those that do not fit."""
    shown = [*_list_own(found), *map(_of_gate, found.asked)]
    fitting = _fit(shown, ROOM_BYTES)
    names = dict.fromkeys(answer.group for answer in fitting)
    groups = [Group(name, [one for one in fitting if one.group == name]) for name in names]
    return groups, len(shown) - len(fitting)


def list_forgotten(found: Report) -> list[Shown]:
    """List the small tasks that the base solves and the persona does not."""
    forgotten = [
        _of_gate(answer)
        for answer in found.asked
        if answer.gate == retention.NAME and answer.baseline_is_right and not answer.is_right
    ]
    return _fit(forgotten, FORGOTTEN_BYTES)


def count_tasks(found: Report) -> int:
    """Count the small tasks that the base was asked too."""
    return sum(one.gate == retention.NAME and one.baseline is not None for one in found.asked)


def _list_own(found: Report) -> Iterable[Shown]:
    """List the answers to the greeting, which is not judged, and to the manifest's questions."""
    if found.hello and found.hello.ask not in {own.ask for own in found.manifest}:
        yield replace(_of_own(found.hello), is_right=None)
    yield from map(_of_own, found.manifest)


def _of_own(own: OwnAnswer) -> Shown:
    notes = [own.problem or "", "" if own.ended else "did not end"]
    note = ", ".join(filter(None, notes))
    return Shown("its own questions", own.ask, own.answer, own.baseline, not own.problem, note)


def _of_gate(answer: GateAnswer) -> Shown:
    earlier = len(answer.messages) - 1
    notes = [
        "" if answer.ended else "did not end",
        f"after {earlier} earlier messages" if earlier else "",
        "" if answer.seed is None else f"sampled with seed {answer.seed}",
        "" if answer.by_file else "answered in memory, not by the file",
    ]
    return Shown(
        answer.gate.replace("_", " "),
        answer.ask,
        answer.answer,
        answer.baseline,
        answer.is_right,
        ", ".join(filter(None, notes)),
    )


def _fit(answers: Sequence[Shown], room_bytes: int) -> list[Shown]:
    """Cut all texts to the same length so that they fit; if necessary, leave out the last ones."""
    for most in SHOWN_CHARACTERS:
        shorter = [_cut(answer, most) for answer in answers]
        # Counting characters first is fast, and gives a lower bound of the bytes.
        fits = sum(map(_count_characters, shorter)) <= room_bytes
        if fits and sum(map(_count_bytes, shorter)) <= room_bytes:
            return shorter
    kept = []
    for answer in shorter:
        room_bytes -= _count_bytes(answer)
        if room_bytes < 0:
            break
        kept.append(answer)
    return kept


def _cut(answer: Shown, most: int) -> Shown:
    return Shown(
        answer.group,
        cut(answer.ask, most),
        cut(answer.answer, most),
        None if answer.baseline is None else cut(answer.baseline, most),
        answer.is_right,
        cut(answer.note, most),
    )


def _list_texts(answer: Shown) -> tuple[str, ...]:
    return answer.ask, answer.answer, answer.baseline or "", answer.note


def _count_characters(answer: Shown) -> int:
    return MARKUP_BYTES + sum(map(len, _list_texts(answer)))


def _count_bytes(answer: Shown) -> int:
    return MARKUP_BYTES + sum(
        len(escape_html(escape(text)).encode()) for text in _list_texts(answer)
    )
