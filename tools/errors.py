"""The page docs/errors.md: what the code says when something is wrong, and the cure of each.

`just pages` writes it. The code is read, not run.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
CLASSES = ("ManifestError", "DataError", "ToolError", "GateError")
# What divides each sentence into what is and what should be.
EXPECTED = ", expected "
WORD, LEAST_WORDS = re.compile(r"[A-Za-z]{2,}"), 2
# What logging and `%` fill in.
PLACEHOLDER = re.compile(r"%(?:\.\d+)?[rsdf](?![A-Za-z])")
# The packages whose errors a person meets together, in the order of a build.
GROUPS = {
    "The manifest and the persona's folder": (
        *("manifest", "parameters", "persona", "scaffold", "tables"),
    ),
    "The data": ("data", "importing", "files"),
    "The base": ("bases",),
    "Training, export and the gates": (
        *("machine", "training", "gguf", "llama", "evaluation", "gates", "stages", "project"),
    ),
    "The build and the disk": ("engine", "errors"),
    "Ollama and the Modelfile": ("ollama",),
    "Publishing": ("publication",),
}
OTHERS = "Other commands"
HEAD = """\
# Errors

Written from the code by `just pages`. Messages that are composed of parts, or that come from a
library, are not listed.

An error is one line: where it is, what was found, and what was expected. A line `hint:` below it
says what to do; without one, change what was found to what was expected. All mistakes in a file are
reported at once. Below, `…` stands for a name or a number.

| exit code | what it means | what to do |
|---|---|---|
| 0 | done | |
| 1 | something that you can fix | do what the hint says |
| 2 | the command was typed wrongly | type it with `--help` |
| 3 | a bug in the program | report it, with the crash log that is named |
| 130 | stopped by Ctrl-C | build again: it goes on where it stopped |
| 143 | ended by SIGTERM, for example at a time limit | the same |

A build that a gate refused has [a page of its own](refused.md). Bases that cannot be used, and what
to take instead, are in [Bases](bases.md#refused).
"""


@dataclass(frozen=True, order=True)
class Told:
    """A sentence in its two parts, and the hint that is given with it."""

    found: str
    expected: str
    hint: str


def write_page() -> str:
    """Write the page from the modules of builder/."""
    groups: dict[str, set[Told]] = {title: set() for title in (*GROUPS, OTHERS)}
    for path in sorted((ROOT / "builder").rglob("*.py")):
        package = path.relative_to(ROOT / "builder").parts[0].removesuffix(".py")
        for told in find_sentences(ast.parse(path.read_text("utf-8"))):
            groups[find_group(package)].add(told)
    return HEAD + "".join(_write_group(title, found) for title, found in groups.items())


def find_group(package: str) -> str:
    """Find the heading under which a module's sentences stand."""
    return next((title for title, packages in GROUPS.items() if package in packages), OTHERS)


def find_sentences(module: ast.Module) -> Iterator[Told]:
    """Find the sentences of a module that say what was expected, each with its hint."""
    texts = _list_texts(module)
    hinted: dict[str, str] = {}
    for scope in ast.walk(module):
        if isinstance(scope, ast.FunctionDef):
            hinted |= _find_hints(scope, texts | _list_texts(scope))
    parts = _list_parts(module)
    for node in ast.walk(module):
        sentence = None if id(node) in parts else _read(node, {})
        found, _, expected = (sentence or "").partition(EXPECTED)
        hint = hinted.get(sentence or "", "")
        if WORD.search(expected) and (hint or _says_what_is(found)):
            yield Told(found, expected, hint)


def _find_hints(scope: ast.FunctionDef, texts: dict[str, str]) -> dict[str, str]:
    """Find the errors that a function makes with a hint, by their sentences."""
    found = {}
    for node in ast.walk(scope):
        if not (isinstance(node, ast.Call) and getattr(node.func, "id", "") in CLASSES):
            continue
        hint = next((_read(key.value, texts) for key in node.keywords if key.arg == "hint"), None)
        for argument in node.args:
            # Names within a sentence are left out, as `find_sentences` reads it.
            sentence = _read(argument, texts if isinstance(argument, ast.Name) else {})
            if sentence and hint:
                found[sentence] = hint
    return found


def _list_texts(scope: ast.AST) -> dict[str, str]:
    """List the names that a scope gives to texts."""
    body = getattr(scope, "body", []) if isinstance(scope, ast.Module) else list(ast.walk(scope))
    return {
        node.targets[0].id: text
        for node in body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and (text := _read(node.value, {}))
    }


def _read(node: ast.AST, texts: dict[str, str]) -> str | None:
    """Read a text, what is only known when it runs as an ellipsis; None where it is no text."""
    text = None
    match node:
        case ast.Constant(value=str(raw)):
            text = PLACEHOLDER.sub("…", raw)
        case ast.Name(id=name):
            text = texts.get(name)
        case ast.JoinedStr(values=values):
            parts = [_read(value, texts) or "…" for value in values]
            text = re.sub(r"…+", "…", "".join(parts))
        case ast.FormattedValue(value=value):
            text = _read(value, texts)
        case ast.Call(func=ast.Name(id="command"), args=[argument]):
            text = f"just {_read(argument, texts) or '…'}"
        case ast.IfExp(body=one, orelse=other):
            both = filter(None, (_read(one, texts), _read(other, texts)))
            text = " / ".join(both) or None
    return text


def _says_what_is(found: str) -> bool:
    """Say whether a sentence has words of its own after its place."""
    return len(WORD.findall(found.partition(": ")[2] or found)) >= LEAST_WORDS


def _list_parts(module: ast.Module) -> set[int]:
    """List docstrings and the pieces of longer texts, which are no sentences, by their identity."""
    parts: set[int] = set()
    for node in ast.walk(module):
        if isinstance(node, ast.JoinedStr):
            parts |= {id(inner) for inner in ast.walk(node) if inner is not node}
        elif isinstance(node, ast.Expr):
            parts.add(id(node.value))
    return parts


def _write_group(title: str, found: set[Told]) -> str:
    rows = [
        f"| {_cell(one.found)} | {_cell(one.expected)} | {_cell(one.hint)} |\n"
        for one in sorted(found)
    ]
    return f"\n## {title}\n\n| what is | expected | hint |\n|---|---|---|\n{''.join(rows)}"


def _cell(text: str) -> str:
    """Write a text as a cell of a table, in which a bar or an angle bracket means nothing."""
    return re.sub(r"([|<*_\[\]])", r"\\\1", " ".join(text.split()).replace("`", ""))
