"""Reads blocks of `Q:` and `A:` in .txt and .md files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from builder import files
from builder.errors import DataError

NAME = "text with Q: and A:"
QUESTION = "q|question|frage|问|问题"
ANSWER = "a|answer|antwort|réponse|reponse|答|回答"
# `Q:`, `Question 3:`, `**Q:**`, `## Q:`, `- Q:` and `> Q:`.
MARK = re.compile(
    rf"\s*(?:#{{1,6}}\s*|[-*]\s+|>\s*)?(?:\*\*|__)?(?:(?P<question>{QUESTION})|(?P<answer>{ANSWER}))"
    r"\s*(?:\d+\s*)?(?:(?:\*\*|__)\s*)?[:：]\s*(?:\*\*|__)?\s?(?P<text>.*)",
    re.IGNORECASE,
)
# A heading in Markdown ends an answer.
HEADING = re.compile(r"#{1,6}\s|(?:-{3,}|\*{3,}|_{3,})\s*$")
FENCE = re.compile(r"\s*(?:```|~~~)")


@dataclass
class _Block:
    """A question and its answer that are being read."""

    where: str
    question: list[str]
    answer: list[str] | None = None
    problems: list[str] = field(default_factory=list)


def read(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Read each question with its answer and its line.

    Raises:
        DataError: A question has no answer, or an answer no question; it has all of these.

    """
    try:
        text = files.read_text(path)
    except ValueError as error:
        raise DataError(str(error)) from None
    blocks, problems = _list_blocks(path, text)
    problems += [
        f"{block.where}: a question without an answer, expected a line that begins with `A:`"
        for block in blocks
        if block.answer is None
    ]
    if problems:
        raise DataError(*problems)
    for block in blocks:
        answer = "\n".join(block.answer or ()).strip()
        asked = "\n".join(block.question).strip()
        yield block.where, {"question": asked, "answer": answer}


def _list_blocks(path: Path, text: str) -> tuple[list[_Block], list[str]]:
    """List the blocks of a file in order, and the answers without a question."""
    blocks: list[_Block] = []
    problems: list[str] = []
    lines: list[str] | None = None
    is_code = False
    # Not splitlines: an answer can hold U+2028 or a form feed.
    lines_of_text = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for number, line in enumerate(lines_of_text, start=1):
        is_code ^= bool(FENCE.match(line))
        mark = None if is_code else MARK.fullmatch(line)
        if mark is None:
            if path.suffix.lower() == ".md" and not is_code and HEADING.match(line):
                lines = None
            elif lines is not None:
                lines.append(line)
        elif mark["question"]:
            lines = [mark["text"]]
            blocks.append(_Block(f"{path}:{number}", lines))
        elif blocks and blocks[-1].answer is None:
            lines = blocks[-1].answer = [mark["text"]]
        else:
            problems.append(
                f"{path}:{number}: an answer without a question, expected `Q:` before it"
            )
    return blocks, problems
