"""What the pages of the docs show: the commands in them, and the transcripts of what is printed."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [ROOT / "README.md", ROOT / "README.zh.md", *DOCS]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
# What a line of a block begins with that is typed, not printed.
PROGRAMS = ("just", "persona", "ollama", "pip", ".venv/bin/python", "curl")
# The blocks of each page that show what is printed, in order, by what they show; a test compares
# each: `tests/test_transcripts.py` what takes no training, `tests/builds/test_newcomer.py` the
# rest, `tests/test_layout.py` the tree.
TRANSCRIPTS = {
    "README.md": ("answer", "end", "tree"),
    "README.zh.md": ("answer", "end"),
    "first-persona.md": ("stages", "end"),
    "decisions.md": ("why",),
    "refused.md": ("refusal",),
}


@dataclass(frozen=True)
class Typed:
    """A command as a page names it: `just` or `persona`, its name, and what follows."""

    program: str
    name: str
    words: list[str]


def list_blocks(text: str, language: str) -> list[str]:
    """List the fenced blocks of a language."""
    return [body for found, body in FENCE.findall(text) if found == language]


def list_codes(text: str) -> list[str]:
    """List what stands between backticks, and the lines of blocks without a language."""
    blocks = [line for body in list_blocks(text, "") for line in body.splitlines()]
    return [*re.findall(r"`([^`\n]+)`", FENCE.sub("", text)), *blocks]


def list_typed(text: str) -> list[Typed]:
    """List the commands of this project, also where one follows `&&` or stands in a sentence."""
    return [typed for code in list_codes(text) for typed in read_typed(code)]


def read_typed(code: str) -> list[Typed]:
    """Read the commands of this project in a line."""
    found = re.findall(r"(?:^|\$ |&& |\$\()(just|persona) ([a-z-]+)([^&)]*)", code)
    return [Typed(program, name, shlex.split(rest, comments=True)) for program, name, rest in found]


def is_typed(line: str) -> bool:
    """Tell whether a line of a block is a command, not what one prints."""
    return line.removeprefix("$ ").startswith(tuple(f"{program} " for program in PROGRAMS))


def list_transcripts(path: Path) -> list[str]:
    """List the blocks of a page that hold more than commands."""
    blocks = list_blocks(path.read_text("utf-8"), "")
    return [body for body in blocks if not all(map(is_typed, body.splitlines()))]


def find_transcripts(kind: str) -> list[list[str]]:
    """Find the transcripts of a kind on all pages: what each shows to be printed, line by line."""
    return [
        [line for line in body.splitlines() if not is_typed(line)]
        for path in PAGES
        for shown, body in zip(TRANSCRIPTS.get(path.name, ()), list_transcripts(path), strict=True)
        if shown == kind
    ]


def normalise(line: str) -> str:
    """Put marks in place of what differs from run to run: figures, times and answers.

    A busy machine asks fewer of the gates' questions, and says where that is not enough; that is
    left out. What remains is the wording, and is compared.
    """
    line = line.replace("not enough evidence whether it ", "")
    line = re.sub(r", \d+ without enough evidence$", "", line)
    line = re.sub(r"^(  Hello  →  ).*?(   \(before: ).*\)$", r"\1ANSWER\2ANSWER)", line)
    line = re.sub(r"'.*' is answered '.*'", "QUESTION is answered ANSWER", line)
    line = re.sub(r"done in \S+", "done in TIME", line)
    return re.sub(r"\s+", " ", re.sub(r"\d+(\.\d+)?", "N", line)).strip()
