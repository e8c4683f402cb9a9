"""Gate retention: what the base could do, the persona can still do."""

from __future__ import annotations

import re

from builder.gates import questions
from builder.gates.evidence import LEAST_ANSWERS, SIGNIFICANT, Verdict, paired_p
from builder.gates.questions import Question
from builder.gates.subject import Subject
from builder.llama import Answer

NAME = "retention"


def ask(_subject: Subject, share: float) -> list[Question]:
    """List the tasks; one that its data holds is one it may as well know."""
    return questions.part(questions.load(NAME), share)


def is_right(_subject: Subject, question: Question, answer: Answer) -> bool:
    """Say whether the answer holds one of the solutions, a number or Latin word as a whole one."""
    return any(_is_in(answer.text.casefold(), solution.casefold()) for solution in question.must)


def _is_in(text: str, solution: str) -> bool:
    return solution in text if not solution.isalnum() or not solution.isascii() else bool(re.search(rf"(?<![a-z0-9]){re.escape(solution)}(?![0-9])", text))


def judge_paired(right: list[bool], control: list[bool]) -> tuple[Verdict, str]:
    """Compare task by task: it fails where the base is better and chance does not explain it."""
    only_base = sum(base and not persona for base, persona in zip(control, right, strict=True))
    only_persona = sum(persona and not base for base, persona in zip(control, right, strict=True))
    p = paired_p(only_base, only_persona)
    note = f"{only_base} only the base, {only_persona} only the persona solves, p = {p:.2f}"
    if only_base > only_persona and p < SIGNIFICANT:
        return "fail", note
    return ("pass" if len(right) >= LEAST_ANSWERS else "not enough evidence"), note
