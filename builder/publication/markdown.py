"""Escapes text for Markdown, as the hub renders it.

The hub renders GitHub's Markdown, after KaTeX has set its formulas
(huggingface.co/docs/hub/model-cards).
"""

from __future__ import annotations

import re

from builder.escapes import escape

# Characters of emphasis, code, links, HTML, entities, cells, headings and formulas.
MARKUP = re.compile(r"[`*_\[\]<>|~$#&]")
# Texts that GitHub's Markdown turns into links.
LINK = re.compile(r"(?<=[a-z])(?=://)|(?<=www)(?=\.)|(?<=\w)(?=@)", re.IGNORECASE)
# An empty comment, which is invisible.
NOTHING = "<!-- -->"
BACKSLASH = "&#92;"


class Markdown(str):
    """Text that is already Markdown."""

    __slots__ = ()


def inline(text: str) -> Markdown:
    """Escape a text for use inside a line."""
    line = escape(" ".join(text.split()))
    # Not with a backslash, as KaTeX reads two of them before a bracket.
    shown = line.replace("\\", "\0")
    shown = LINK.sub("\1", MARKUP.sub(r"\\\g<0>", shown))
    return Markdown(shown.replace("\0", BACKSLASH).replace("\1", NOTHING))


def cell(text: str) -> Markdown:
    """Escape a text for a cell of a table, keeping its lines."""
    lines = text.strip().splitlines() or [""]
    return Markdown("<br>".join(inline(line) for line in lines) or " ")


def fence(text: str) -> Markdown:
    """Write a text as a code block."""
    shown = escape(text.strip("\n"), keep="\t\n")
    longest = max((len(run) for run in re.findall(r"`+", shown)), default=0)
    marks = "`" * max(3, longest + 1)
    return Markdown(f"{marks}\n{shown}\n{marks}")


def code(text: str) -> Markdown:
    """Write a text as code inside a line or a cell of a table."""
    shown = escape(" ".join(text.split())).replace("|", "\\|")
    longest = max((len(run) for run in re.findall(r"`+", shown)), default=0)
    marks = "`" * (longest + 1)
    space = " " if shown[:1] == "`" or shown[-1:] == "`" else ""
    return Markdown(f"{marks}{space}{shown}{space}{marks}")
