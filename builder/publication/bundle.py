"""The files of a published repository on the hub, which llama.cpp and Ollama can run from there.

Ollama reads `template`, `system` and `params` beside the GGUF (huggingface.co/docs/hub/ollama).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from builder import files
from builder.errors import ToolError
from builder.ollama import modelfile
from builder.project import Build
from builder.publication import card, licensing
from builder.publication.card import Place
from builder.publication.licensing import Terms

CARD, LICENCE, NOTICE = "README.md", "LICENSE", "NOTICE"
# Files that change how Ollama serves a repository.
SERVING = ("template", "system", "params")


@dataclass(frozen=True, kw_only=True)
class Item:
    """A file to publish."""

    path: str
    content: bytes | Path
    size_bytes: int
    sha256: str
    """The hub's hash for a large file."""
    blob: str
    """git's hash for a small file; "" for the GGUF."""

    @property
    def digests(self) -> tuple[str, ...]:
        """The hashes by which the hub may know it."""
        return tuple(filter(None, (self.sha256, self.blob)))


def name_gguf(build: Build) -> str:
    """Name the GGUF as the hub and llama.cpp expect, with its quantisation."""
    return f"{build.name}-{build.persona.manifest.export.quantisation.upper()}.gguf"


def make(build: Build, repository: str, terms: Terms, licences: Sequence[Path]) -> list[Item]:
    """Make the files to publish, the card first.

    Args:
        build: The build, whose stages up to the gates are fresh.
        repository: The repository.
        terms: The licence.
        licences: The licence files of the base.

    Raises:
        ToolError: The licence's text must be included, and there is none.

    """
    texts = dict(_list_texts(build, repository, terms))
    for path in licences:
        if path.name.partition(".")[0] not in texts:
            texts[path.name] = path.read_text("utf-8", errors="replace")
    licence = terms.licence
    if licence and licence.needs_copy and not any(name.startswith(LICENCE) for name in texts):
        msg = f"{terms.base_name}: has no file of its licence ({licence.name}), expected its text, "
        msg += "which must go along with what is made of it"
        raise ToolError(msg, hint=f"set {licensing.KEY} to the text of {licence.link}, and build")
    items = [_describe_text(path, text) for path, text in texts.items()]
    return [*items, _describe_file(name_gguf(build), build.gguf)]


def _list_texts(build: Build, repository: str, terms: Terms) -> Iterator[tuple[str, str]]:
    gguf, served = name_gguf(build), build.decide_served()
    yield CARD, card.make(build, Place(repository=repository, gguf=gguf))
    yield "Modelfile", rename(files.read_text(build.modelfile), gguf)
    if served.template is not None:
        yield "template", served.template
    if served.system is not None:
        yield "system", served.system
    yield "params", json.dumps(served.parameters, ensure_ascii=False, indent=1, sort_keys=True)
    if terms.text:
        yield LICENCE, f"{terms.text}\n"
    if notice := licensing.write_notice(terms):
        yield NOTICE, notice


def rename(text: str, gguf: str) -> str:
    """Change the file that a Modelfile names, and nothing else.

    Raises:
        ToolError: It does not name `model.gguf`.

    """
    pairs = modelfile.parse(text)
    own, wanted = ("FROM", "./model.gguf"), ("FROM", f"./{gguf}")
    expected = [wanted if pair == own else pair for pair in pairs]
    lines = text.split("\n")
    for number, line in enumerate(lines):
        if line.strip().upper().startswith("FROM "):
            changed = "\n".join([*lines[:number], " ".join(wanted), *lines[number + 1 :]])
            # A system text may hold such a line too.
            if own in pairs and modelfile.parse(changed) == expected:
                return changed
    raise ToolError(f"Modelfile: names no {own[1]}, expected what the render stage writes")


def _describe_text(path: str, text: str) -> Item:
    content = text.encode()
    header = b"blob %d\0" % len(content)
    return Item(
        path=path,
        content=content,
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        blob=hashlib.sha1(header + content, usedforsecurity=False).hexdigest(),
    )


def _describe_file(path: str, file: Path) -> Item:
    sha256, size_bytes = files.sha256(file), file.stat().st_size
    return Item(path=path, content=file, size_bytes=size_bytes, sha256=sha256, blob="")
