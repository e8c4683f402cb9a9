"""Text from outside written into Markdown so that it stays text, as the hub renders it.

The hub's Markdown is GitHub's, and before it is read, formulas in it are set by KaTeX
(huggingface.co/docs/hub/model-cards).
"""

from __future__ import annotations

import re

from builder.escapes import escape

# What begins emphasis, code, links, HTML, entities, cells, headings and formulas.
MARKUP = re.compile(r"[`*_\[\]<>|~$#&]")
# What GitHub's Markdown makes a link without any markup.
LINK = re.compile(r"(?<=[a-z])(?=://)|(?<=www)(?=\.)|(?<=\w)(?=@)", re.IGNORECASE)
# A comment of no length, which no reader sees.
NOTHING = "<!-- -->"
BACKSLASH = "&#92;"


class Markdown(str):
    """Text that is Markdown already."""

    __slots__ = ()


def inline(text: str) -> Markdown:
    """Write a text as a part of a line, which shows all its characters and means nothing."""
    line = escape(" ".join(text.split()))
    # Not by a backslash: KaTeX reads two of them before a bracket.
    shown = line.replace("\\", "\0")
    shown = LINK.sub("\1", MARKUP.sub(r"\\\g<0>", shown))
    return Markdown(shown.replace("\0", BACKSLASH).replace("\1", NOTHING))


def cell(text: str) -> Markdown:
    """Write a text as a cell of a table, its lines under each other."""
    lines = text.strip().splitlines() or [""]
    return Markdown("<br>".join(inline(line) for line in lines) or " ")


def fence(text: str) -> Markdown:
    """Write a text as a block of its own, in which no markup means anything."""
    shown = escape(text.strip("\n"), keep="\t\n")
    longest = max((len(run) for run in re.findall(r"`+", shown)), default=0)
    marks = "`" * max(3, longest + 1)
    return Markdown(f"{marks}\n{shown}\n{marks}")


def code(text: str) -> Markdown:
    """Write a text as code in a line, or in a cell of a table."""
    shown = escape(" ".join(text.split())).replace("|", "\\|")
    longest = max((len(run) for run in re.findall(r"`+", shown)), default=0)
    marks = "`" * (longest + 1)
    space = " " if shown[:1] == "`" or shown[-1:] == "`" else ""
    return Markdown(f"{marks}{space}{shown}{space}{marks}")
